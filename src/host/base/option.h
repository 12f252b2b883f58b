/* One row for each option: what the command line, recipes, the help, shell completion and docs/options.md know of it.
 *
 * A row says where the value lies in a struct (`offset`), so that a table serves one type of struct. cli/command.h reads
 * a command line by such tables; train/keys.c reads and writes recipes by one.
 */
#ifndef KTI_BASE_OPTION_H
#define KTI_BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>

typedef enum kti_option_kind {
    KTI_OPTION_END, /* of a table */
    KTI_OPTION_BOOLEAN, /* bool; its flag takes no value and sets it, or clears it where the flag begins with "no-" */
    KTI_OPTION_TEXT,    /* const char *, any text */
    KTI_OPTION_WORD,    /* const char *, one of `choices` */
    KTI_OPTION_CHOICE,  /* an enum: the place of the word in `choices` */
    KTI_OPTION_INTEGER, /* int, min to max */
    KTI_OPTION_LONG,    /* int64_t or uint64_t, min to max; INFINITY: INT64_MAX */
    KTI_OPTION_NUMBER,  /* double, min to max */
    KTI_OPTION_DATA,    /* of a recipe: a path or a list of paths, const char *[KT_MAX_DATA_SETS] */
    KTI_OPTION_WEIGHTS, /* of a recipe: a path, "random" or a stage */
    KTI_OPTION_OTHER    /* `take` reads it */
} kti_option_kind;

typedef struct kti_option {
    kti_option_kind kind;
    const char *flag;     /* without its dashes; NULL: a recipe's key alone */
    const char *key;      /* in a recipe; NULL: the command line's alone */
    const char *argument; /* what stands for its value in the help; NULL: the flag takes none */
    size_t offset;
    double min, max;
    const char *const *choices; /* ended by NULL */
    const char *group;          /* heading in the help; NULL: that of the row before */
    const char *help;           /* one sentence or a few, wrapped where it is printed */
    /* Takes the flag's value (NULL if it takes none); false after printing what is wrong. `flag` has its dashes. */
    bool (*take)(void *target, const char *flag, const char *value);
    char letter; /* short form; 0: none */
} kti_option;

#endif
