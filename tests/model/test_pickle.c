#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/pickle.h"

/* Pieces of pickles as torch.save writes them. Octal escapes, since hexadecimal ones swallow what follows. */
#define PROTO "\200\002"
#define ORDERED_DICT "ccollections\nOrderedDict\n)R"
#define FLOATS "ctorch\nFloatStorage\n"
#define DOUBLES "ctorch\nDoubleStorage\n"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n"
#define PARAMETER "ctorch._utils\n_rebuild_parameter\n"
#define NAME_A "X\1\0\0\0a"
#define NAME_B "X\1\0\0\0b"
#define HOOKS "\211" ORDERED_DICT
#define WORD_STORAGE "X\7\0\0\0storage"
#define WORD_CPU "X\3\0\0\0cpu"
#define KEY_0                                                                                                \
    "X\1\0\0\0"                                                                                              \
    "0"
#define KEY_1                                                                                                \
    "X\1\0\0\0"                                                                                              \
    "1"
#define STORAGE(class, key, count) "(" WORD_STORAGE class key WORD_CPU count "tQ"
#define SIX STORAGE(FLOATS, KEY_0, "K\6")
#define TENSOR(storage, offset, sizes, strides) REBUILD "(" storage offset sizes strides HOOKS "tR"
#define TWO_BY_THREE TENSOR(SIX, "K\0", "K\2K\3\206", "K\3K\1\206")
#define STATE(members) PROTO ORDERED_DICT "(" members "u."

/* Storages: element i of storage k is 100 k + i. */
static kt_status count_up(void *context, const char *key, size_t bytes, void **data, kt_error *error)
{
    (void)error;
    int *calls = context;
    ++*calls;
    float *values = malloc(bytes ? bytes : 1);
    assert_non_null(values);
    for (size_t i = 0; i < bytes / sizeof *values; i++)
        values[i] = (float)(100 * atoi(key)) + (float)i;
    *data = values;
    return KT_OK;
}

static kt_status parse(const char *pickle, size_t size, kti_tensors *tensors, kt_error *error)
{
    int calls = 0;
    kti_storage_source source = {count_up, &calls};
    /* An exact-size copy, so that a sanitizer sees a read beyond the end. */
    char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, pickle, size);
    kt_status status = kti_pickle_parse(copy, size, "data.pkl", &source, tensors, error);
    free(copy);
    if (status != KT_OK)
        assert_null(tensors->list);
    return status;
}

#define GOOD(text) text, sizeof text - 1

static void expect_values(const char *pickle, size_t size, size_t elements, const float *values)
{
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    if (parse(pickle, size, &tensors, &error) != KT_OK)
        fail_msg("byte %lld: %s", (long long)error.byte, error.message);
    assert_int_equal(tensors.size, 1);
    assert_string_equal(tensors.list[0].name, "a");
    assert_int_equal(tensors.list[0].elements, elements);
    for (size_t i = 0; i < elements; i++)
        assert_true(kti_tensor_value(&tensors.list[0], i) == (double)values[i]);
    kti_tensors_destroy(&tensors);
}

static void views_are_gathered_by_their_strides(void **state)
{
    (void)state;
    const float plain[] = {0, 1, 2, 3, 4, 5}, transposed[] = {0, 2, 4, 1, 3, 5}, part[] = {1, 3, 5},
                one[] = {4};
    expect_values(GOOD(STATE(NAME_A TWO_BY_THREE)), 6, plain);
    expect_values(GOOD(STATE(NAME_A TENSOR(SIX, "K\0", "K\2K\3\206", "K\1K\2\206"))), 6, transposed);
    expect_values(GOOD(STATE(NAME_A TENSOR(SIX, "K\1", "K\3\205", "K\2\205"))), 3, part);
    expect_values(GOOD(STATE(NAME_A TENSOR(SIX, "K\4", ")", ")"))), 1, one);
    expect_values(GOOD(STATE(NAME_A TENSOR(SIX, "K\0", "(K\1K\2K\1K\3t", "(K\6K\3K\3K\1t"))), 6, plain);
    expect_values(GOOD(STATE(NAME_A TENSOR(SIX, "K\6", "K\0\205", "K\1\205"))), 0, NULL);
    expect_values(GOOD(STATE(NAME_A PARAMETER "(" TWO_BY_THREE "\210" ORDERED_DICT "tR")), 6, plain);
    /* a plain dictionary, SETITEM, and the memo */
    expect_values(GOOD(PROTO "}q\1" NAME_A "r\1\1\0\0" TWO_BY_THREE "s."), 6, plain);
}

static void storages_are_shared_and_read_once(void **state)
{
    (void)state;
    static const char pickle[] = STATE(NAME_A TENSOR(SIX, "K\0", "K\2\205", "K\1\205")
                                           NAME_B TENSOR(SIX, "K\3", "K\3\205", "K\1\205"));
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    int calls = 0;
    kti_storage_source source = {count_up, &calls};
    assert_int_equal(kti_pickle_parse(pickle, sizeof pickle - 1, "data.pkl", &source, &tensors, &error),
                     KT_OK);
    assert_int_equal(calls, 1);
    assert_int_equal(tensors.size, 2);
    assert_true(kti_tensor_value(&tensors.list[1], 2) == 5);
    kti_tensors_destroy(&tensors);
}

static void the_metadata_of_a_state_dict_are_passed_over(void **state)
{
    (void)state;
    const float plain[] = {0, 1, 2, 3, 4, 5};
    expect_values(GOOD(PROTO ORDERED_DICT "(" NAME_A TWO_BY_THREE "u}X\11\0\0\0_metadata" ORDERED_DICT
                                          "(X\0\0\0\0}X\7\0\0\0versionK\1susb."),
                  6, plain);
}

/* What stands before the opcode that must be refused, that opcode and the rest, and what is said. */
#define BAD(before, rest, part)                                                                              \
    {                                                                                                        \
        before rest, sizeof(before rest) - 1, sizeof(before) - 1, part                                       \
    }

static const struct {
    const char *pickle;
    size_t size, byte;
    const char *part;
} hostile[] = {
    BAD("", "", "no end"),
    BAD("", "}.", "not a pickle of protocol 2"),
    BAD("", "\200\4}.", "protocol 4"),
    BAD("", "\200", "ends within"),
    BAD(PROTO, "cos\nsystem\nX\4\0\0\0true\205R.", "GLOBAL `os.system` is refused"),
    BAD(PROTO, "cbuiltins\neval\n.", "GLOBAL `builtins.eval` is refused"),
    BAD(PROTO, "ctorch\nOrderedDict\n.", "GLOBAL `torch.OrderedDict` is refused"),
    BAD(PROTO, "ccollections\nOrderedDictX\n.", "is refused"),
    BAD(PROTO, "ccollections.OrderedDict", "ends within"),
    BAD(PROTO, "cos\nsystem", "ends within"),
    BAD(PROTO, "ios\nsystem\n.", "opcode 0x69 is refused"),                     /* INST */
    BAD(PROTO ORDERED_DICT, "\201.", "opcode 0x81 is refused"),                 /* NEWOBJ */
    BAD(PROTO "X\2\0\0\0osX\6\0\0\0system", "\223.", "opcode 0x93 is refused"), /* STACK_GLOBAL */
    BAD(PROTO, "\202\1.", "opcode 0x82 is refused"),                            /* EXT1 */
    BAD(PROTO, "\213\377\377\377\177.", "opcode 0x8b is refused"),              /* LONG4 of 2 GB */
    BAD(PROTO, "\212\377.", "opcode 0x8a is refused"),                          /* LONG1 */
    BAD(PROTO, "L99999999999999999999L\n.", "opcode 0x4c is refused"),          /* LONG */
    BAD(PROTO, "].", "opcode 0x5d is refused"),                                 /* EMPTY_LIST */
    BAD(PROTO "}", "2.", "opcode 0x32 is refused"),                             /* DUP */
    BAD(PROTO, "P0\n.", "opcode 0x50 is refused"),                              /* PERSID */
    /* BUILD */
    BAD(PROTO ORDERED_DICT "}", "b.", "BUILD is refused"),
    BAD(PROTO ORDERED_DICT "}X\10\0\0\0__dict__" ORDERED_DICT "s", "b.", "BUILD is refused"),
    BAD(PROTO ORDERED_DICT "}X\11\0\0\0_metadataK\1s", "b.", "BUILD is refused"),
    BAD(PROTO "}}X\11\0\0\0_metadata" ORDERED_DICT "s", "b.", "BUILD is refused"),
    BAD(PROTO TWO_BY_THREE "}X\11\0\0\0_metadata" ORDERED_DICT "s", "b.", "BUILD is refused"),
    /* REDUCE */
    BAD(PROTO "})", "R.", "what is no function"),
    BAD(PROTO "ccollections\nOrderedDict\n}", "R.", "what is no function"),
    BAD(PROTO "ccollections\nOrderedDict\nK\1\205", "R.", "OrderedDict is called with arguments"),
    BAD(PROTO FLOATS ")", "R.", "REDUCE of `FloatStorage`"),
    BAD(PROTO REBUILD ")", "R.", "_rebuild_tensor_v2 is called"),
    BAD(PROTO PARAMETER ")", "R.", "_rebuild_parameter is called"),
    BAD(PROTO PARAMETER "(K\1\211" ORDERED_DICT "t", "R.", "_rebuild_parameter is called"),
    BAD(PROTO REBUILD "(K\1K\0K\1\205K\1\205" HOOKS "t", "R.", "_rebuild_tensor_v2 is called"),
    BAD(PROTO REBUILD "(" SIX "K\0K\1\205K\1\205\211}t", "R.", "_rebuild_tensor_v2 is called"),
    BAD(PROTO REBUILD "(" SIX "K\0K\1\205K\1\205\211" ORDERED_DICT NAME_A "K\1st", "R.",
        "_rebuild_tensor_v2 is called"),
    /* views */
    BAD(PROTO REBUILD "(" SIX "K\0K\7\205K\1\205" HOOKS "t", "R.", "larger than its storage of 6"),
    BAD(PROTO REBUILD "(" SIX "K\0K\2K\3\206K\4K\1\206" HOOKS "t", "R.", "reach beyond its storage"),
    BAD(PROTO REBUILD "(" SIX "K\1K\6\205K\1\205" HOOKS "t", "R.", "reach beyond its storage"),
    BAD(PROTO REBUILD "(" SIX "K\6K\1\205K\1\205" HOOKS "t", "R.", "reach beyond its storage"),
    BAD(PROTO REBUILD "(" SIX "K\7K\0\205K\1\205" HOOKS "t", "R.", "reach beyond its storage"),
    BAD(PROTO REBUILD "(" SIX "J\377\377\377\377K\1\205K\1\205" HOOKS "t", "R.", "reach beyond its storage"),
    BAD(PROTO REBUILD "(" SIX "K\0K\2\205J\377\377\377\177\205" HOOKS "t", "R.", "reach beyond its storage"),
    BAD(PROTO REBUILD "(" SIX "K\0K\2\205J\377\377\377\377\205" HOOKS "t", "R.", "sizes and strides"),
    BAD(PROTO REBUILD "(" SIX "K\0J\377\377\377\377\205K\1\205" HOOKS "t", "R.", "sizes and strides"),
    BAD(PROTO REBUILD "(" SIX "K\0K\2K\3\206K\1\205" HOOKS "t", "R.", "sizes and strides"),
    BAD(PROTO REBUILD "(" SIX "K\0(K\1K\1K\1K\1K\1t(K\1K\1K\1K\1K\1t" HOOKS "t", "R.", "sizes and strides"),
    BAD(PROTO REBUILD "(" SIX "K\0" NAME_A "\205K\1\205" HOOKS "t", "R.", "sizes and strides"),
    BAD(PROTO REBUILD "(" SIX "K\0(J\377\377\377\177J\377\377\377\177J\377\377\377\177t(K\0K\0K\0t" HOOKS "t",
        "R.", "larger than its storage"),
    /* persistent identifiers */
    BAD(PROTO "}", "Q.", "must be of a tensor's storage"),
    BAD(PROTO "(" WORD_STORAGE FLOATS KEY_0 WORD_CPU "t", "Q.", "must be of a tensor's storage"),
    BAD(PROTO "(X\6\0\0\0module" FLOATS KEY_0 WORD_CPU "K\6t", "Q.", "must be of a tensor's storage"),
    BAD(PROTO "(" WORD_STORAGE KEY_0 KEY_0 WORD_CPU "K\6t", "Q.", "must be of a tensor's storage"),
    BAD(PROTO "(" WORD_STORAGE "ccollections\nOrderedDict\n" KEY_0 WORD_CPU "K\6t", "Q.",
        "must be a FloatStorage"),
    BAD(PROTO "(" WORD_STORAGE FLOATS "X\7\0\0\0../pass" WORD_CPU "K\6t", "Q.", "key must be a number"),
    BAD(PROTO "(" WORD_STORAGE FLOATS "X\0\0\0\0" WORD_CPU "K\6t", "Q.", "key must be a number"),
    BAD(PROTO "(" WORD_STORAGE FLOATS "X\12\0\0\0"
              "1234567890" WORD_CPU "K\6t",
        "Q.", "key must be a number"),
    BAD(PROTO "(" WORD_STORAGE FLOATS KEY_0 WORD_CPU "J\377\377\377\177t", "Q.", "is refused"),
    BAD(PROTO "(" WORD_STORAGE FLOATS KEY_0 WORD_CPU "J\377\377\377\377t", "Q.", "-1 elements is refused"),
    BAD(PROTO SIX "(" WORD_STORAGE FLOATS KEY_0 WORD_CPU "K\7t", "Q.", "two types or sizes"),
    BAD(PROTO SIX "(" WORD_STORAGE DOUBLES KEY_0 WORD_CPU "K\6t", "Q.", "two types or sizes"),
    /* stack, memo, texts */
    BAD(PROTO, ".", "stack is empty"),
    BAD(PROTO, "\205.", "stack is empty"),
    BAD(PROTO "K\1(", "\205.", "takes a mark for a value"),
    BAD(PROTO "(", ".", "takes a mark for a value"),
    BAD(PROTO "(", "q\0.", "takes a mark for a value"),
    BAD(PROTO "K\1", "t.", "never opened"),
    BAD(PROTO "K\1", "u.", "never opened"),
    BAD(PROTO "(", "u.", "stack is empty"),
    BAD(PROTO "K\1(", "u.", "what is no dictionary"),
    BAD(PROTO "}(K\1", "u.", "a key without a value"),
    BAD(PROTO "K\1K\1K\1", "s.", "what is no dictionary"),
    BAD(PROTO "}", "r\0\0\0\200.", "memo index 2147483648"),
    BAD(PROTO "}", "r\377\377\377\377.", "memo index 4294967295"),
    BAD(PROTO, "h\0.", "memo index 0 was never put"),
    BAD(PROTO "}q\1", "h\2.", "memo index 2 was never put"),
    BAD(PROTO, "j\0\0\0\200.", "was never put"),
    BAD(PROTO, "X\377\377\377\377a", "ends within"),
    BAD(PROTO, "X\2\0\0\0a", "ends within"),
    BAD(PROTO, "X\2\0", "ends within"),
    BAD(PROTO, "J\0\0", "ends within"),
    BAD(PROTO "}}", ".", "ends with 2 values"),
    BAD(PROTO "}", ".}", "1 bytes follow"),
    BAD(PROTO "}", "", "no end"),
    /* the state dict */
    BAD(PROTO "K\1", ".", "must hold a dictionary"),
    BAD(PROTO SIX, ".", "must hold a dictionary"),
    BAD(PROTO "}" NAME_A "K\1s", ".", "`a` holds no tensor"),
    BAD(PROTO "}q\1" NAME_A "h\1s", ".", "`a` holds no tensor"), /* a dictionary within itself */
    BAD(PROTO "}K\1" TWO_BY_THREE "s", ".", "no plain name"),
    BAD(PROTO "}X\0\0\0\0" TWO_BY_THREE "s", ".", "no plain name"),
    BAD(PROTO "}X\3\0\0\0a\0b" TWO_BY_THREE "s", ".", "no plain name"),
    BAD(PROTO "}X\3\0\0\0a\nb" TWO_BY_THREE "s", ".", "no plain name"),
    BAD(PROTO "}(" NAME_A TWO_BY_THREE NAME_A TWO_BY_THREE "u", ".", "`a` occurs twice"),
};

static void everything_else_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        char what[64];
        kt_error error = KT_ERROR_NONE;
        kti_tensors tensors = {0};
        snprintf(what, sizeof what, "row %zu (%s)", i, hostile[i].part);
        kt_status status = parse(hostile[i].pickle, hostile[i].size, &tensors, &error);
        assert_string_equal(error.file, "data.pkl");
        expect_error(what, status, &error, KT_BAD_FORMAT, hostile[i].part, (int64_t)hostile[i].byte);
    }
}

/* `begin`, then `repeated` so often that limits must stop it. */
static void expect_bomb(const char *begin, size_t begin_size, const char *repeated, size_t repeated_size,
                        size_t times, const char *end, const char *part)
{
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    size_t used = begin_size, size = begin_size + times * repeated_size + strlen(end);
    char *pickle = malloc(size);
    assert_non_null(pickle);
    memcpy(pickle, begin, begin_size);
    for (size_t i = 0; i < times; i++, used += repeated_size)
        memcpy(pickle + used, repeated, repeated_size);
    memcpy(pickle + used, end, strlen(end));
    expect_error(part, parse(pickle, size, &tensors, &error), &error, KT_BAD_FORMAT, part, ANY_BYTE);
    free(pickle);
}

static void bombs_are_refused(void **state)
{
    (void)state;
    expect_bomb(GOOD(PROTO), GOOD("("), 3000000, ".", "stack grows beyond");
    expect_bomb(GOOD(PROTO "}q\0"), GOOD("h\0"), 1500000, ".", "stack grows beyond");
    expect_bomb(GOOD(PROTO "}"), GOOD("\205"), 2000000, ".", "more than 1000000 values"); /* ((((...)))) */
    expect_bomb(GOOD(PROTO), GOOD("}"), 4000001, ".", "at most 4000000");
    expect_bomb(GOOD(PROTO "}(" WORD_STORAGE FLOATS KEY_0 WORD_CPU "K\6tq\0Q"), GOOD("h\0Q"), 20000, ".",
                "more than 10000 times");
}

/* One view of 40 MB under seven names passes the limit on the sum, and on nothing else. */
#define FORTY_MB "J\200\226\230\0"
#define BIG TENSOR(STORAGE(FLOATS, KEY_0, FORTY_MB), "K\0", FORTY_MB "\205", "K\1\205")

static void the_sum_of_tensors_is_limited(void **state)
{
    (void)state;
    static const char six[] = STATE(NAME_A BIG "q\1X\1\0\0\0ch\1X\1\0\0\0dh\1X\1\0\0\0eh\1X\1\0\0\0fh\1"
                                               "X\1\0\0\0gh\1");
    static const char seven[] = STATE(NAME_A BIG "q\1X\1\0\0\0ch\1X\1\0\0\0dh\1X\1\0\0\0eh\1X\1\0\0\0fh\1"
                                                 "X\1\0\0\0gh\1X\1\0\0\0hh\1");
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    assert_int_equal(parse(six, sizeof six - 1, &tensors, &error), KT_OK);
    assert_int_equal(tensors.size, 6);
    kti_tensors_destroy(&tensors);
    expect_error("sum", parse(seven, sizeof seven - 1, &tensors, &error), &error, KT_BAD_FORMAT,
                 "more than 256000000 bytes", sizeof seven - 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_gathered_by_their_strides),
        cmocka_unit_test(storages_are_shared_and_read_once),
        cmocka_unit_test(the_metadata_of_a_state_dict_are_passed_over),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(bombs_are_refused),
        cmocka_unit_test(the_sum_of_tensors_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
