/* A lock on a folder or a file that a crash releases by itself: for what two programs must not write at a time. */
#ifndef KTI_BASE_LOCK_H
#define KTI_BASE_LOCK_H

#include <stdbool.h>

#include <kappatune/error.h>

enum { KTI_LOCK_OWNER = 192 }; /* bytes that say who holds a lock */

typedef struct kti_lock {
    int handle;    /* -1: not held */
    char *removed; /* with the release; owned, NULL: none */
} kti_lock;

#define KTI_LOCK_NONE                                                                                        \
    {                                                                                                        \
        -1, NULL                                                                                             \
    }

/* Takes folder/lock, which then names this host and process; KT_IO, naming the owner, if another process holds it. */
kt_status kti_lock_take(kti_lock *lock, const char *folder, kt_error *error);

/* The same for a file, by `<file>.lock` beside it, which is there as long as the lock is held, or until the next one after a crash. */
kt_status kti_lock_take_file(kti_lock *lock, const char *file, kt_error *error);

void kti_lock_release(kti_lock *lock);

/* Whether another process holds folder/lock, and, if so, who. */
bool kti_lock_is_held(const char *folder, char owner[KTI_LOCK_OWNER]);

#endif
