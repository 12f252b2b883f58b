/* Whole folders: made beside their place and put there at once, looked through, removed. */
#ifndef KTI_BASE_FOLDER_H
#define KTI_BASE_FOLDER_H

#include <stddef.h>

#include <kappatune/error.h>

/* The first name in a folder, by strcmp, that is neither in own[] (ends with NULL) nor a temporary file of ours; "" if there is none, or
 * no folder: what somebody else has put there. */
kt_status kti_folder_find_foreign(const char *folder, const char *const *own, char *name, size_t capacity,
                                  kt_error *error);

/* Removes the folder with all that is in it, links as links; nothing if it is not there. */
kt_status kti_folder_remove(const char *path, kt_error *error);

/* Flushes to the disk which names the folder has; their content is flushed by whoever wrote it. */
kt_status kti_folder_flush(const char *path, kt_error *error);

/* Puts the folder `made` at `path`, on the same file system, where nothing stands or a folder. That one is at `made` or at `aside`
 * afterwards. Whatever moment a crash chooses, one of the two stands at `path` whole, or, where the file system cannot exchange
 * names, none does and the earlier one is at `aside`. */
kt_status kti_folder_replace(const char *made, const char *path, const char *aside, kt_error *error);

#endif
