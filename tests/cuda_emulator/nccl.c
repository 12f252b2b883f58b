/* NCCL: communicators of one process, all-reduce, broadcast, groups of calls, abort.
 *
 * A collective arrives when the order of its stream lets it run, and happens when all ranks' have arrived: sums are by rank,
 * so that they repeat. Ranks that don't agree, and one that never comes while others wait, are violations. A call on a
 * communicator that doesn't block may leave it in progress for some questions, and until all ranks have joined.
 */
#include "cuda_emulator/internal.h"

#include <nccl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RANKS = EMULATOR_DEVICES_MAX, CALLS = 8, PENDING = 32 };
static const uint64_t MAGIC = 0x6b74656d756e6363;

typedef enum call_kind { ALL_REDUCE, BROADCAST } call_kind;
static const char *const call_names[] = {"an all-reduce", "a broadcast"};

/* What all ranks have to agree about, and the rank's own buffers. */
typedef struct call {
    call_kind kind;
    ncclDataType_t type;
    ncclRedOp_t op;
    int root;
    size_t count;
    const void *send;
    void *receive;
} call;

typedef struct rank rank;

typedef struct clique {
    uint64_t number;
    int ranks, joined;
    rank *rank[RANKS];
    struct clique *next;
} clique;

typedef struct collective {
    emu_task task;
    rank *rank;
    call call[CALLS];
    int calls;
    bool arrived, done, never, blamed;
    double since;
} collective;

struct rank {
    int references; /* the communicator's and its collectives' */
    clique *clique;
    int number, device;
    bool blocks, aborted;
    int questions; /* that are still answered by "in progress" */
    ncclResult_t error;
    long begun; /* collectives */
    collective *waiting;
};

struct ncclComm {
    emu_object object;
    rank *rank;
};

static clique *cliques;
static uint64_t numbers;
static int lost_rank;
static long lost_number;
static bool lost_reports;

/* A group of calls of this thread. */
static _Thread_local int depth;
static _Thread_local bool group_failed;
static _Thread_local struct {
    ncclComm_t *made;        /* an initialisation */
    ncclComm_t communicator; /* a collective */
    emu_stream *stream;
    call call;
} pending[PENDING];
static _Thread_local int pendings;

static ncclResult_t leave(ncclResult_t code)
{
    if (code != ncclSuccess && code != ncclInProgress && depth > 0)
        group_failed = true;
    emu_leave_library(code != ncclSuccess && code != ncclInProgress);
    return code;
}

static ncclResult_t refuse(const char *text)
{
    emu_violation("%s: %s", emu_call(), text);
    return ncclInvalidArgument;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void release(rank *r)
{
    if (--r->references > 0)
        return;
    if (r->clique->rank[r->number] == r)
        r->clique->rank[r->number] = NULL;
    free(r);
}

void emu_forget_nccl(void)
{
    for (ncclComm_t c = NULL; (c = emu_object_next(EMU_NCCL_COMMUNICATOR, c));)
        release(c->rank);
    while (cliques) {
        clique *next = cliques->next;
        free(cliques);
        cliques = next;
    }
    lost_number = 0;
}

void emulator_lose_rank(int number, long collective_number, int reports)
{
    lost_rank = number;
    lost_number = collective_number;
    lost_reports = reports;
}

/* ---- errors ---- */

EMU_API const char *ncclGetErrorString(ncclResult_t code)
{
    emu_error_seen();
    switch (code) {
    case ncclSuccess: return "no error";
    case ncclUnhandledCudaError: return "unhandled cuda error";
    case ncclSystemError: return "unhandled system error";
    case ncclInternalError: return "internal error";
    case ncclInvalidArgument: return "invalid argument";
    case ncclInvalidUsage: return "invalid usage";
    case ncclRemoteError: return "remote process exited or there was a network error";
    case ncclInProgress: return "NCCL operation in progress";
    default: return "unknown result code";
    }
}

EMU_API const char *ncclGetLastError(ncclComm_t communicator)
{
    (void)communicator;
    emu_error_seen();
    return "";
}

EMU_API ncclResult_t ncclGetVersion(int *version)
{
    if (emu_enter(__func__, EMU_ASK))
        return leave(ncclSystemError);
    *version = NCCL_VERSION_CODE;
    return leave(ncclSuccess);
}

EMU_API ncclResult_t ncclCommGetAsyncError(ncclComm_t communicator, ncclResult_t *error)
{
    if (emu_enter(__func__, EMU_ASK))
        return leave(ncclSystemError);
    const ncclComm_t c = emu_object_find(EMU_NCCL_COMMUNICATOR, communicator);
    if (!c || !error)
        return leave(ncclInvalidArgument);
    rank *r = c->rank;
    *error = r->error;
    if (r->clique->joined < r->clique->ranks)
        *error = ncclInProgress;
    else if (r->questions > 0) {
        r->questions--;
        *error = ncclInProgress;
    }
    return leave(ncclSuccess);
}

/* ---- communicators ---- */

EMU_API ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
    if (emu_enter(__func__, EMU_WORK))
        return leave(ncclSystemError);
    const uint64_t words[2] = {MAGIC, ++numbers};
    memset(id, 0, sizeof *id);
    memcpy(id->internal, words, sizeof words);
    return leave(ncclSuccess);
}

static clique *find_clique(const ncclUniqueId *id, int ranks)
{
    uint64_t words[2];
    memcpy(words, id->internal, sizeof words);
    if (words[0] != MAGIC)
        return NULL;
    for (clique *c = cliques; c; c = c->next)
        if (c->number == words[1])
            return c->ranks == ranks ? c : NULL;
    clique *made = emu_allocate(sizeof *made);
    *made = (clique){.number = words[1], .ranks = ranks, .next = cliques};
    return cliques = made;
}

/* Makes the handle; the rank has not joined yet. */
static ncclResult_t create(ncclComm_t *made, int ranks, const ncclUniqueId *id, int number, bool blocks)
{
    if (!made)
        return refuse("nowhere to put the communicator");
    *made = NULL;
    if (ranks < 1 || ranks > RANKS || number < 0 || number >= ranks)
        return refuse("no such rank");
    clique *k = find_clique(id, ranks);
    if (!k)
        return refuse("the ranks have no common id, or don't agree how many they are");
    for (int i = 0; i < ranks; i++)
        if (k->rank[i] && k->rank[i]->device == emu_current_device)
            return refuse("two ranks on one device");
    if (k->rank[number])
        return refuse("the rank is there already");
    *made = emu_object_create(EMU_NCCL_COMMUNICATOR, sizeof(**made));
    (*made)->rank = emu_allocate(sizeof(*(*made)->rank));
    *(*made)->rank = (rank){.references = 1,
                            .clique = k,
                            .number = number,
                            .device = emu_current_device,
                            .blocks = blocks,
                            .questions = blocks ? 0 : (int)(emu_draw() % 4)};
    k->rank[number] = (*made)->rank;
    return ncclSuccess;
}

static void join(ncclComm_t c)
{
    c->rank->clique->joined++;
    emu_wake_others();
}

static ncclResult_t wait_for_ranks(ncclComm_t c)
{
    const clique *k = c->rank->clique;
    if (!c->rank->blocks)
        return ncclInProgress;
    while (k->joined < k->ranks)
        if (!emu_wait_for_others()) {
            emu_violation("%s: %d of %d ranks never come", emu_call(), k->ranks - k->joined, k->ranks);
            return ncclSystemError;
        }
    return ncclSuccess;
}

static ncclResult_t add_pending(ncclComm_t *made, ncclComm_t communicator, emu_stream *stream, const call *c)
{
    if (pendings == PENDING)
        return refuse("more calls in a group than are emulated");
    pending[pendings].made = made;
    pending[pendings].communicator = communicator;
    pending[pendings].stream = stream;
    if (c)
        pending[pendings].call = *c;
    pendings++;
    return ncclSuccess;
}

static ncclResult_t initialise(ncclComm_t *made, int ranks, const ncclUniqueId *id, int number, bool blocks)
{
    const ncclResult_t code = create(made, ranks, id, number, blocks);
    if (code != ncclSuccess)
        return code;
    if (depth > 0)
        return add_pending(made, *made, NULL, NULL);
    join(*made);
    return wait_for_ranks(*made);
}

EMU_API ncclResult_t ncclCommInitRank(ncclComm_t *made, int ranks, ncclUniqueId id, int number)
{
    return leave(emu_enter(__func__, EMU_WORK) ? ncclSystemError
                                               : initialise(made, ranks, &id, number, true));
}

EMU_API ncclResult_t ncclCommInitRankConfig(ncclComm_t *made, int ranks, ncclUniqueId id, int number,
                                            ncclConfig_t *config)
{
    if (emu_enter(__func__, EMU_WORK))
        return leave(ncclSystemError);
    const ncclConfig_t fresh = NCCL_CONFIG_INITIALIZER;
    if (config && (config->size != fresh.size || config->magic != fresh.magic))
        return leave(refuse("the configuration doesn't begin with NCCL_CONFIG_INITIALIZER"));
    return leave(initialise(made, ranks, &id, number, !config || config->blocking != 0));
}

EMU_API ncclResult_t ncclCommInitAll(ncclComm_t *made, int ranks, const int *devices)
{
    if (emu_enter(__func__, EMU_WORK))
        return leave(ncclSystemError);
    const uint64_t words[2] = {MAGIC, ++numbers};
    const int before = emu_current_device;
    ncclUniqueId id = {{0}};
    ncclResult_t code = ncclSuccess;
    memcpy(id.internal, words, sizeof words);
    for (int i = 0; i < ranks && code == ncclSuccess; i++) {
        emu_current_device = devices ? devices[i] : i;
        code = create(&made[i], ranks, &id, i, true);
        if (code == ncclSuccess)
            join(made[i]);
    }
    emu_current_device = before;
    return leave(code);
}

static bool is_of(const emu_task *task, const void *of);

static ncclResult_t end_communicator(ncclComm_t communicator, bool aborts)
{
    const ncclComm_t c = emu_object_find(EMU_NCCL_COMMUNICATOR, communicator);
    if (!c)
        return ncclInvalidArgument;
    rank *r = c->rank;
    if (emu_graphs_hold(is_of, r))
        emu_violation("%s: waits for ever for a graph that holds a collective of the communicator",
                      emu_call());
    if (r->waiting && !aborts)
        emu_violation("%s: %s is on its way", emu_call(), r->waiting->task.name);
    r->aborted = true;
    emu_object_destroy(c);
    release(r);
    emu_wake_others();
    return ncclSuccess;
}

EMU_API ncclResult_t ncclCommDestroy(ncclComm_t communicator)
{
    const bool injected = emu_enter(__func__, EMU_CLEANUP);
    const ncclResult_t code = end_communicator(communicator, false);
    return leave(injected ? ncclInternalError : code);
}

EMU_API ncclResult_t ncclCommAbort(ncclComm_t communicator)
{
    const bool injected = emu_enter(__func__, EMU_CLEANUP);
    const ncclResult_t code = end_communicator(communicator, true);
    return leave(injected ? ncclInternalError : code);
}

static ncclResult_t ask(const char *name, ncclComm_t communicator, int *value, int what)
{
    if (emu_enter(name, EMU_ASK))
        return leave(ncclSystemError);
    const ncclComm_t c = emu_object_find(EMU_NCCL_COMMUNICATOR, communicator);
    if (!c || !value)
        return leave(ncclInvalidArgument);
    *value = what == 0 ? c->rank->clique->ranks : what == 1 ? c->rank->number : c->rank->device;
    return leave(ncclSuccess);
}

EMU_API ncclResult_t ncclCommCount(const ncclComm_t communicator, int *count)
{
    return ask(__func__, communicator, count, 0);
}

EMU_API ncclResult_t ncclCommUserRank(const ncclComm_t communicator, int *number)
{
    return ask(__func__, communicator, number, 1);
}

EMU_API ncclResult_t ncclCommCuDevice(const ncclComm_t communicator, int *device)
{
    return ask(__func__, communicator, device, 2);
}

/* ---- collectives ---- */

static size_t size_of(ncclDataType_t type)
{
    switch (type) {
    case ncclInt8:
    case ncclUint8: return 1;
    case ncclInt32:
    case ncclUint32:
    case ncclFloat32: return 4;
    case ncclInt64:
    case ncclUint64:
    case ncclFloat64: return 8;
    default: return 0;
    }
}

static bool agree(const clique *k)
{
    const collective *first = k->rank[0]->waiting;
    for (int i = 1; i < k->ranks; i++) {
        const collective *other = k->rank[i]->waiting;
        bool same = first->calls == other->calls;
        for (int n = 0; n < first->calls && same; n++) {
            const call *a = &first->call[n], *b = &other->call[n];
            same = a->kind == b->kind && a->count == b->count && a->type == b->type && a->op == b->op &&
                   a->root == b->root;
            if (!same)
                emu_violation(
                    "ranks don't agree: rank 0 has %s of %zu numbers of type %d, rank %d %s of %zu of %d",
                    call_names[a->kind], a->count, (int)a->type, i, call_names[b->kind], b->count,
                    (int)b->type);
        }
        if (first->calls != other->calls)
            emu_violation("ranks don't agree: rank 0 has %d calls in a group, rank %d %d", first->calls, i,
                          other->calls);
        if (!same)
            return false;
    }
    return true;
}

static bool check_buffers(const rank *r, const call *c)
{
    const size_t bytes = c->count * size_of(c->type);
    char send[48], receive[48];
    snprintf(send, sizeof send, "rank %d's send buffer", r->number);
    snprintf(receive, sizeof receive, "rank %d's receive buffer", r->number);
    return emu_check_device(c->send, bytes, r->device, send) &&
           emu_check_device(c->receive, bytes, r->device, receive);
}

static void sum_floats(const clique *k, int n)
{
    const size_t count = k->rank[0]->waiting->call[n].count;
    for (size_t i = 0; i < count; i++) {
        float sum = 0;
        for (int r = 0; r < k->ranks; r++) {
            const float x = ((const float *)k->rank[r]->waiting->call[n].send)[i];
            sum = r == 0 ? x : sum + x;
        }
        for (int r = 0; r < k->ranks; r++)
            ((float *)k->rank[r]->waiting->call[n].receive)[i] = sum;
    }
}

static void copy_root(const clique *k, int n)
{
    const call *root = &k->rank[k->rank[0]->waiting->call[n].root]->waiting->call[n];
    for (int r = 0; r < k->ranks; r++)
        memmove(k->rank[r]->waiting->call[n].receive, root->send, root->count * size_of(root->type));
}

/* For all ranks at once. */
static void happen(const clique *k)
{
    if (agree(k))
        for (int n = 0; n < k->rank[0]->waiting->calls; n++) {
            bool good = true;
            for (int r = 0; r < k->ranks; r++)
                good = check_buffers(k->rank[r], &k->rank[r]->waiting->call[n]) && good;
            if (!good)
                continue;
            if (k->rank[0]->waiting->call[n].kind == ALL_REDUCE)
                sum_floats(k, n);
            else
                copy_root(k, n);
        }
    for (int r = 0; r < k->ranks; r++)
        k->rank[r]->waiting->done = true;
}

static void arrive(collective *c)
{
    rank *r = c->rank;
    if (r->waiting)
        emu_violation("rank %d: two collectives of one communicator run in no order", r->number);
    c->arrived = true;
    c->since = seconds();
    r->waiting = c;
    r->begun++;
    if (r->number == lost_rank && r->begun == lost_number) {
        c->never = true;
        if (lost_reports)
            r->error = ncclRemoteError;
    }
}

static bool all_arrived(const clique *k)
{
    for (int i = 0; i < k->ranks; i++)
        if (!k->rank[i] || k->rank[i]->aborted || !k->rank[i]->waiting || k->rank[i]->waiting->never ||
            k->rank[i]->waiting->done)
            return false;
    return true;
}

static bool can_run(emu_task *task)
{
    collective *c = (collective *)task;
    if (!c->arrived)
        arrive(c);
    if (c->done || c->rank->aborted || all_arrived(c->rank->clique))
        return true;
    if (!c->blamed && seconds() - c->since > emu_timeout()) {
        c->blamed = true;
        emu_violation("rank %d waits in %s for a rank that never comes", c->rank->number, c->task.name);
    }
    return false;
}

static void run(emu_task *task)
{
    collective *c = (collective *)task;
    rank *r = c->rank;
    if (!c->done && !r->aborted)
        happen(r->clique);
    if (!c->done) /* aborted: what it leaves behind is nothing */
        for (int n = 0; n < c->calls; n++)
            if (check_buffers(r, &c->call[n]))
                memset(c->call[n].receive, 0xff, c->call[n].count * size_of(c->call[n].type));
    c->arrived = c->done = c->never = false;
    if (r->waiting == c)
        r->waiting = NULL;
}

static void forget(emu_task *task)
{
    release(((collective *)task)->rank);
}

static bool is_of(const emu_task *task, const void *of)
{
    return task->run == run && ((const collective *)task)->rank == of;
}

static ncclResult_t submit(ncclComm_t communicator, emu_stream *stream, const call *calls, int count)
{
    rank *r = communicator->rank;
    collective *c = emu_task_create(call_names[calls[0].kind], r->device, sizeof *c, run);
    c->task.can_run = can_run;
    c->task.forget = forget;
    c->rank = r;
    r->references++;
    memcpy(c->call, calls, (size_t)count * sizeof *calls);
    c->calls = count;
    emu_submit(stream, &c->task);
    r->questions = r->blocks ? 0 : (int)(emu_draw() % 3);
    return r->questions > 0 ? ncclInProgress : ncclSuccess;
}

static ncclResult_t collect(ncclComm_t communicator, cudaStream_t stream, const call *c)
{
    const ncclComm_t found = emu_object_find(EMU_NCCL_COMMUNICATOR, communicator);
    emu_stream *s = emu_stream_find(stream);
    if (!found || !s)
        return ncclInvalidArgument;
    const rank *r = found->rank;
    if (r->clique->joined < r->clique->ranks || r->questions > 0)
        return refuse("what the communicator did before is still in progress");
    if (r->error != ncclSuccess)
        return ncclInvalidUsage;
    if (s->device != r->device)
        return refuse("the communicator and the stream are of different devices");
    if (size_of(c->type) == 0 || (c->kind == ALL_REDUCE && (c->type != ncclFloat32 || c->op != ncclSum)))
        return refuse("a type or a reduction that isn't emulated");
    if (c->root < 0 || c->root >= r->clique->ranks)
        return refuse("no such root");
    if (!check_buffers(r, c))
        return ncclInvalidArgument;
    return depth > 0 ? add_pending(NULL, found, s, c) : submit(found, s, c, 1);
}

EMU_API ncclResult_t ncclAllReduce(const void *send, void *receive, size_t count, ncclDataType_t type,
                                   ncclRedOp_t op, ncclComm_t communicator, cudaStream_t stream)
{
    const call c = {
        .kind = ALL_REDUCE, .type = type, .op = op, .count = count, .send = send, .receive = receive};
    return leave(emu_enter(__func__, EMU_WORK) ? ncclSystemError : collect(communicator, stream, &c));
}

EMU_API ncclResult_t ncclBroadcast(const void *send, void *receive, size_t count, ncclDataType_t type,
                                   int root, ncclComm_t communicator, cudaStream_t stream)
{
    const call c = {
        .kind = BROADCAST, .type = type, .root = root, .count = count, .send = send, .receive = receive};
    return leave(emu_enter(__func__, EMU_WORK) ? ncclSystemError : collect(communicator, stream, &c));
}

/* ---- groups ---- */

/* The header's declarations say nothing of arguments. */
ncclResult_t ncclGroupStart(void);
ncclResult_t ncclGroupEnd(void);

EMU_API ncclResult_t ncclGroupStart(void)
{
    if (emu_enter(__func__, EMU_WORK))
        return leave(ncclSystemError);
    if (depth++ == 0) {
        group_failed = false;
        pendings = 0;
    }
    return leave(ncclSuccess);
}

/* A group that failed does nothing. */
static void drop_pending(void)
{
    for (int i = 0; i < pendings; i++)
        if (pending[i].made) {
            ncclComm_t c = *pending[i].made;
            release(c->rank);
            emu_object_destroy(c);
            *pending[i].made = NULL;
        }
}

/* The calls of one communicator are one collective. */
static ncclResult_t submit_pending(int first)
{
    call calls[CALLS];
    int count = 0;
    const ncclComm_t c = pending[first].communicator;
    for (int i = first; i < pendings; i++) {
        if (pending[i].communicator != c)
            continue;
        if (pending[i].stream != pending[first].stream || count == CALLS)
            return refuse("a group that isn't emulated: several streams, or too many calls");
        calls[count++] = pending[i].call;
        pending[i].communicator = i == first ? c : NULL;
    }
    return submit(c, pending[first].stream, calls, count);
}

static ncclResult_t end_group(void)
{
    ncclResult_t code = ncclSuccess;
    for (int i = 0; i < pendings; i++)
        if (pending[i].made)
            join(*pending[i].made);
    for (int i = 0; i < pendings; i++) {
        ncclResult_t one = ncclSuccess;
        if (pending[i].made)
            one = wait_for_ranks(*pending[i].made);
        else if (pending[i].communicator)
            one = submit_pending(i);
        if (code == ncclSuccess || (code == ncclInProgress && one != ncclSuccess))
            code = one;
    }
    return code;
}

EMU_API ncclResult_t ncclGroupEnd(void)
{
    const bool injected = emu_enter(__func__, EMU_CLEANUP);
    if (depth == 0)
        return leave(refuse("no group was started"));
    if (--depth > 0)
        return leave(injected ? ncclSystemError : ncclSuccess);
    ncclResult_t code = ncclInvalidUsage;
    if (injected || group_failed)
        drop_pending();
    else
        code = end_group();
    pendings = 0;
    return leave(injected ? ncclSystemError : code);
}
