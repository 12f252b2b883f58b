#include "train/rescue.h"

#include <stdio.h>

#include "train/fold_state.h"
#include "train/team_reports.h"

enum { MAX_RESCUES = 5, COLLAPSED_EPOCHS = 10 };

static const double explosion = 10;       /* times the least mean loss of an epoch */
static const double loss_of_constant = 1; /* squared, of the standardised target; absolute at most that */

const char *kti_rescue_diagnose(const kt_train_options *options, const kti_fold *fold, const double *record)
{
    /* The loss of standardised logarithms: one below that of a constant may well jump, and a squared one jumps further. */
    const bool logarithmic = options->loss != KT_LOSS_MAPE;
    const double factor = options->loss == KT_LOSS_LOG ? explosion * explosion : explosion;
    if (record[KTI_TRAIN_LOSS] < 0)
        return "no step of the epoch was finite";
    if (fold->min_loss >= 0 && record[KTI_TRAIN_LOSS] > factor * fold->min_loss &&
        (!logarithmic || record[KTI_TRAIN_LOSS] > loss_of_constant))
        return "the loss exploded";
    if (fold->collapsed_epochs >= COLLAPSED_EPOCHS)
        return "the predictions collapsed to one number";
    return NULL;
}

static bool has_good_epoch(const kti_fold *fold)
{
    return fold->best_epoch > 0 && !kti_fold_best_is_flat(fold);
}

/* After the last epoch no training would follow a rescue. */
static bool is_left_alone(const kt_train_options *o, const kti_fold *fold)
{
    return o->protocol == KT_PUBLISHED || fold->rescues >= MAX_RESCUES || fold->epoch + 1 == o->epochs;
}

static void report(kti_worker *w, const kti_fold *fold, const char *reason, bool leave)
{
    const kt_train_options *o = w->team->run->options;
    char text[240], remedy[160];
    if (leave)
        snprintf(remedy, sizeof remedy, "it goes on as it is");
    else if (has_good_epoch(fold))
        snprintf(remedy, sizeof remedy,
                 "it goes back to where it stood after epoch %d, with half the learning rate",
                 fold->best_epoch);
    else
        snprintf(remedy, sizeof remedy, "it starts again with newly drawn %s and half the learning rate",
                 o->from && o->load_weights ? "head" : "weights");
    snprintf(text, sizeof text, "fold %d, epoch %d: %s; %s", fold->number, fold->epoch + 1, reason, remedy);
    kti_team_report(w->team, fold, leave ? "trouble" : "rescue", 0, true, text);
}

kt_status kti_rescue(kti_worker *w, kti_fold *fold, const char *reason, double *record, kt_error *error)
{
    const bool leave = is_left_alone(w->team->run->options, fold);
    if (!leave || !fold->in_trouble) /* once for a trouble that stays */
        report(w, fold, reason, leave);
    fold->in_trouble = leave;
    if (leave)
        return KT_OK;
    record[KTI_RESCUED] = 1;
    fold->rescues++;
    fold->rate_scale /= 2;
    fold->collapsed_epochs = 0;
    if (has_good_epoch(fold))
        return kti_fold_return_to_best(w, fold, error);
    fold->draws++;
    return kti_fold_begin(w, fold, error);
}
