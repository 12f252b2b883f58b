/* What test_module.c opens. */
int answer(void);

__attribute__((visibility("default"))) int answer(void)
{
    return 42;
}
