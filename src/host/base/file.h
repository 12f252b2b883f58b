/* Whole files: read with a limit, written so that a reader never sees half of one. */
#ifndef KTI_BASE_FILE_H
#define KTI_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include <kappatune/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reads the whole of a regular file into *data (owned by the caller, freed with free(); a zero byte that is
 * not counted follows the content). A file larger than `limit` bytes is refused, so that hostile input costs
 * no memory. */
kt_status kti_file_read(const char *path, size_t limit, char **data, size_t *size, kt_error *error);

/* Writes beside `path`, flushes to the disk and renames: after a crash the old content or the new is there. What is no
 * regular file (a pipe, /dev/null) is written to as it is. */
kt_status kti_file_write(const char *path, const void *data, size_t size, kt_error *error);

/* Whether a path or a name ends in `end`, as strcmp has it. */
bool kti_ends_with(const char *text, const char *end);

/* The last component of a path, without slashes at its end, into `text`. */
void kti_last_component(const char *path, char *text, size_t capacity);

/* "folder/.NAME<suffix>.kappatune-part" for "folder/NAME": where something is made before it is put at `path`, under a name by which
 * it is known as ours when a crash leaves it. A new string (free()), NULL when memory is short. */
char *kti_part_path(const char *path, const char *suffix);
bool kti_is_part(const char *name);

/* Removes what crashes left of kti_file_write in a folder, and nothing else. Only for one that no other kappatune writes to. */
void kti_remove_parts(const char *folder);

bool kti_file_exists(const char *path);
bool kti_is_folder(const char *path);

/* Makes a folder and its missing parents. */
kt_status kti_make_folder(const char *path, kt_error *error);

/* "folder/name" into a new string (free()), NULL when memory is short. */
char *kti_path_join(const char *folder, const char *name);

#ifdef __cplusplus
}
#endif
#endif
