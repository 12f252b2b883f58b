/* The training loop takes no memory: calls of the allocator between the ends of two epochs, counted by the
 * linker's
 * --wrap (the library's own calls; Jansson and GSL bring their own and are not used inside an epoch).
 */
#include <stdatomic.h>

#include "support.h"

#include "train/runs.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static atomic_int calls;

void *__wrap_malloc(size_t size)
{
    atomic_fetch_add(&calls, 1);
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    atomic_fetch_add(&calls, 1);
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    atomic_fetch_add(&calls, 1);
    return __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    atomic_fetch_add(&calls, 1);
    return __real_aligned_alloc(alignment, size);
}

typedef struct watch {
    int fold;     /* of the epoch that ended last */
    int at_end;   /* calls so far */
    int epochs;   /* that were watched from end to end */
    int counted;  /* calls in them */
    int wasteful; /* take memory on purpose */
} watch;

static int end_of_epoch(void *user, const kt_train_progress *progress)
{
    watch *w = user;
    if (progress->fold == w->fold) {
        w->epochs++;
        w->counted += atomic_load(&calls) - w->at_end;
    }
    w->fold = progress->fold;
    w->at_end = atomic_load(&calls);
    if (w->wasteful) {
        void *volatile piece = malloc(1);
        free(piece);
    }
    return 0;
}

static watch watch_run(kt_select select, int wasteful)
{
    watch w = {.wasteful = wasteful};
    kt_train_options options = small_options(data_path("togo15"), NULL);
    options.select = select;
    options.epochs = 5;
    options.run.progress = end_of_epoch;
    options.run.user = &w;
    train(&options, NULL);
    return w;
}

static void test_no_allocation(void **state)
{
    (void)state;
    for (int select = KT_SELECT_INNER; select <= KT_SELECT_LAST; select++) {
        const watch w = watch_run((kt_select)select, 0);
        assert_int_equal(w.epochs, 3 * 4);
        assert_int_equal(w.counted, 0);
        assert_true(w.at_end > 100); /* reading and planning do take memory, and it is seen */
    }
}

static void test_can_fail(void **state)
{
    (void)state;
    const watch w = watch_run(KT_SELECT_INNER, 1);
    assert_int_equal(w.counted, 3 * 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_allocation),
        cmocka_unit_test(test_can_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
