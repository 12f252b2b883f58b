/* Several ranks: from the chunks that each has finished to one pair of files. */
#ifndef KTI_SCAN_MERGE_H
#define KTI_SCAN_MERGE_H

#include "scan/queue.h"

/* Called by one thread of every rank, while its workers run, if there is more than one rank: rank 0 writes the chunks of all in the
 * order of the source, the others send theirs to it. Returns when every rank has said that it has no more. Takes the queue's lock
 * itself; a failure, in whatever rank, ends the scan with it (queue->status). */
void kti_merge(kti_queue *queue);

#endif
