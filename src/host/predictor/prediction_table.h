/* The one list of the columns of predictions: what predict and scan write, and by what analyze, report and reproduce read it.
 *
 * A column is one row of the list in prediction_table.c; headers, values, the readers' classification and docs/columns.md come from it
 * (docs/developing/add-a-prediction-column.md). A column that is not in the list is the user's own: something that is known of the
 * crystals besides, whatever its name begins with.
 */
#ifndef KTI_PREDICTOR_PREDICTION_TABLE_H
#define KTI_PREDICTOR_PREDICTION_TABLE_H

#include "base/text.h"
#include "crystal/description.h"
#include "crystal/graph.h"
#include "predictor/ensemble.h"
#include "predictor/model.h"

/* What a reader makes of a column. */
typedef enum kti_column_role {
    KTI_ROLE_ID,        /* which crystal a row is of */
    KTI_ROLE_LABEL,     /* how people call the crystal */
    KTI_ROLE_MEAN,      /* the prediction; one column of a table */
    KTI_ROLE_SPREAD,    /* how far its members are apart; one column of a table */
    KTI_ROLE_STATISTIC, /* what else is computed from the members */
    KTI_ROLE_LOW,       /* the lower end of an interval */
    KTI_ROLE_HIGH,      /* the upper one */
    KTI_ROLE_TRUST,     /* how far to trust the prediction */
    KTI_ROLE_WARNINGS,  /* the same, in words with ; between */
    KTI_ROLE_MEMBER,    /* the prediction of one member */
    KTI_ROLE_CRYSTAL,   /* of the crystal, whatever the model: predictions are correlated with it */
    KTI_ROLES
} kti_column_role;

/* "the prediction", ...: for documentation. */
const char *kti_column_role_name(kti_column_role role);

/* Who writes a column. */
enum { KTI_IN_CSV = 1, KTI_IN_JSON = 2, KTI_IN_SCAN = 4 };

/* What must be there for it to be written. */
enum {
    KTI_NEEDS_KAPPA = 1,       /* the property is kappa */
    KTI_NEEDS_LOG_SD = 2,      /* every member is a Gaussian process */
    KTI_NEEDS_CALIBRATION = 4, /* the model can judge */
    KTI_NEEDS_MEMBERS = 8,     /* they are told one by one */
    KTI_NEEDS_FEATURES = 16    /* --features */
};

/* All that is known of a crystal once it is predicted. The pointers are the caller's. */
typedef struct kti_prediction {
    const char *id; /* in a scan; of predict the file's path */
    const kt_structure *structure;
    const kti_graph *graph;
    const double *value, *log_sd; /* [members]; log_sd is NULL unless every member is a Gaussian process */
    kti_ensemble all;
    /* Once it is described: */
    char formula[64];
    kt_judgement judgement;      /* where the model can judge */
    kti_description description; /* where features are asked for */
} kti_prediction;

typedef struct kti_prediction_column {
    const char
        *name; /* "_mean" stands behind the quantity, kappa_mean; "fold_%d" comes once for each member */
    const char *unit;    /* NULL: the quantity's; "": none */
    const char *meaning; /* for docs/columns.md */
    kti_column_role role;
    int writers, needs;
    int level;  /* of an interval, % */
    int digits; /* of a number; 0: it is an integer */
    /* One of them; neither for members, nor for what JSON alone has. A number that is not finite is an empty field. */
    double (*number)(const kti_prediction *prediction);
    const char *(*text)(const kti_prediction *prediction);
} kti_prediction_column;

const kti_prediction_column *kti_prediction_columns(int *size);

/* ---- writing ---- */

typedef struct kti_prediction_table {
    const kt_model *model;
    const char *quantity; /* "kappa", "eform" */
    int writer;           /* KTI_IN_CSV, ... */
    int has;              /* KTI_NEEDS_... that are fulfilled */
} kti_prediction_table;

/* "kappa" or "eform", as columns begin. */
const char *kti_quantity_of(kt_property property);

/* The model outlives the table. In a table of `predict` a single weights file has no members of their own: they would only repeat the value. */
kti_prediction_table kti_prediction_table_of(const kt_model *model, kt_property property, int writer,
                                             bool features);

/* How often the table has a column: once at most, but for that of the members; and the column's name there, of which member. */
int kti_prediction_table_count(const kti_prediction_table *table, const kti_prediction_column *column);
void kti_prediction_table_name(const kti_prediction_table *table, const kti_prediction_column *column,
                               int member, char name[64]);

/* A prediction from value and log_sd [members]; log_sd is only read if kt_model_has_log_sd. */
kti_prediction kti_prediction_of(const kti_prediction_table *table, const char *id,
                                 const kt_structure *structure, const kti_graph *graph, const double *value,
                                 const double *log_sd);

/* Finds what else the table's columns tell of it. */
void kti_prediction_describe(const kti_prediction_table *table, kti_prediction *prediction);

/* Add the header, or the row of a described prediction, without a line's end. In a scan each row is one line: control characters in a text are shown as '?'. */
void kti_prediction_table_add_header(const kti_prediction_table *table, kti_text *text);
void kti_prediction_table_add_row(const kti_prediction_table *table, const kti_prediction *prediction,
                                  kti_text *text);

/* A field of one line, quoted where it needs to be. */
void kti_add_line_field(kti_text *text, const char *field);

/* ---- reading ---- */

/* The column of that name in a table of `quantity`; NULL for a user's own. */
const kti_prediction_column *kti_prediction_column_find(const char *name, const char *quantity);

/* Whether a column of that name is a prediction, or what is said of one, or names the crystal: no feature of the crystal. */
bool kti_is_prediction(const char *name, const char *quantity);

/* Where a table has what; -1: nowhere. */
typedef struct kti_prediction_header {
    char quantity[32]; /* "kappa", "eform" */
    int mean, sd, formula, warnings;
    int low, high, level; /* of the interval of the highest level, % */
} kti_prediction_header;

/* Reads the names of columns; false if they are of no table of predictions of `quantity` (NULL: of any; the first counts), which has a mean and
 * a spread. */
bool kti_prediction_header_read(const char *const *names, int count, const char *quantity,
                                kti_prediction_header *header);

#endif
