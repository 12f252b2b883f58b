/* The options that decide the result of a training, one row each: a recipe's keys, and the flags of `kappatune train`. */
#ifndef KTI_TRAIN_KEYS_H
#define KTI_TRAIN_KEYS_H

#include <jansson.h>

#include <kappatune/train.h>

#include "base/option.h"

/* In the order of a written recipe; offsets in kt_train_options. Ended by KTI_OPTION_END. */
extern const kti_option kti_keys[];

/* The words for the values of kt_protocol, kt_select, kt_loss, kt_head and kt_freeze, in their order, ended by NULL. */
extern const char *const kti_protocol_names[];
extern const char *const kti_select_names[];
extern const char *const kti_loss_names[];
extern const char *const kti_head_names[];
extern const char *const kti_freeze_names[];

/* The options as JSON: everything that decides the result, nothing that does not (threads, progress). NULL when memory is short. */
json_t *kti_keys_to_json(const kt_train_options *options);

/* Sets what the keys of `object` name. A `protocol` key resets all others to that protocol's defaults first, except data and
 * weights. The strings in `options` point into `object`, which the caller keeps. KT_BAD_FORMAT, naming `file` and the key, for
 * one that is unknown (so that a misspelt key cannot pass) or whose value does not fit. */
kt_status kti_keys_read(const json_t *object, const char *file, kt_train_options *options, kt_error *error);

/* KT_BAD_ARGUMENT, naming the key, for a number outside its bounds. */
kt_status kti_keys_check(const kt_train_options *options, kt_error *error);

#endif
