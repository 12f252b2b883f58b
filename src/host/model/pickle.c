#include "model/pickle.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"

/* The opcodes that are understood, with the names of Python's pickletools. */
enum opcode {
    OP_MARK = '(',
    OP_STOP = '.',
    OP_BININT = 'J',
    OP_BININT1 = 'K',
    OP_BININT2 = 'M',
    OP_BINPERSID = 'Q',
    OP_REDUCE = 'R',
    OP_BINUNICODE = 'X',
    OP_EMPTY_TUPLE = ')',
    OP_BUILD = 'b',
    OP_GLOBAL = 'c',
    OP_BINGET = 'h',
    OP_LONG_BINGET = 'j',
    OP_BINPUT = 'q',
    OP_LONG_BINPUT = 'r',
    OP_SETITEM = 's',
    OP_TUPLE = 't',
    OP_SETITEMS = 'u',
    OP_EMPTY_DICT = '}',
    OP_PROTO = 0x80,
    OP_TUPLE1 = 0x85,
    OP_TUPLE2 = 0x86,
    OP_TUPLE3 = 0x87,
    OP_NEWTRUE = 0x88,
    OP_NEWFALSE = 0x89
};

enum {
    MAX_VALUES = 1000000,
    MAX_STACK = 100000,
    MAX_MEMO = 1000000,
    MAX_TENSORS = 10000, /* and references to storages */
    MAX_NAME = 255
};

typedef enum kind { MARK, INTEGER, BOOLEAN, TEXT, TUPLE, DICTIONARY, ORDERED, GLOBAL, STORAGE, TENSOR } kind;

/* The globals that a state dict may name. */
typedef enum global { ORDERED_DICT, REBUILD_TENSOR, REBUILD_PARAMETER, FLOAT_STORAGE, DOUBLE_STORAGE } global;

static const struct {
    const char *module, *name;
} globals[] = {
    [ORDERED_DICT] = {"collections", "OrderedDict"},
    [REBUILD_TENSOR] = {"torch._utils", "_rebuild_tensor_v2"},
    [REBUILD_PARAMETER] = {"torch._utils", "_rebuild_parameter"},
    [FLOAT_STORAGE] = {"torch", "FloatStorage"},
    [DOUBLE_STORAGE] = {"torch", "DoubleStorage"},
};

/* Values, tuple items, dictionary members, storages and tensors live in one growing array each and name each
 * other by index, so that nothing recurses and everything is freed at once. */
typedef struct value {
    kind kind;
    uint32_t first; /* TEXT: byte of the pickle; TUPLE: item; dictionaries: first member; else the index */
    uint32_t last;  /* dictionaries: last member */
    uint32_t count; /* TEXT: bytes; TUPLE: items; dictionaries: members */
    int64_t number; /* INTEGER */
} value;

typedef struct member {
    uint32_t key, value, next;
} member;

typedef struct storage {
    uint32_t key; /* the TEXT value */
    kti_dtype dtype;
    size_t elements;
    void *data; /* owned; NULL until a tensor needs it */
} storage;

typedef struct tensor {
    uint32_t storage;
    size_t offset;
    int rank;
    int64_t shape[KTI_TENSOR_RANK], stride[KTI_TENSOR_RANK];
} tensor;

typedef struct machine {
    const unsigned char *pickle;
    size_t size, at;
    size_t start; /* of the opcode that is being done, for errors */
    const char *name;
    kt_error *error;

    value *values;
    size_t values_size, values_capacity;
    uint32_t *stack;
    size_t stack_size, stack_capacity;
    uint32_t *items;
    size_t items_size, items_capacity;
    member *members;
    size_t members_size, members_capacity;
    uint32_t *memo; /* value + 1; 0 where nothing was put */
    size_t memo_size;
    storage *storages;
    size_t storages_size, storages_capacity;
    size_t identifiers; /* persistent ones so far, repeated ones too */
    tensor *tensors;
    size_t tensors_size, tensors_capacity;
} machine;

#define REFUSE(m, ...) kti_fail_byte((m)->error, KT_BAD_FORMAT, (m)->name, (int64_t)(m)->start, __VA_ARGS__)

static kt_status out_of_memory(machine *m)
{
    return kti_fail_file(m->error, KT_OUT_OF_MEMORY, m->name, "not enough memory to unpickle it");
}

static void free_machine(machine *m)
{
    for (size_t i = 0; i < m->storages_size; i++)
        free(m->storages[i].data);
    free(m->values);
    free(m->stack);
    free(m->items);
    free(m->members);
    free(m->memo);
    free(m->storages);
    free(m->tensors);
}

/* The next `count` bytes, NULL at the end. */
static const unsigned char *take(machine *m, size_t count)
{
    if (count > m->size - m->at) {
        REFUSE(m, "the pickle ends within an opcode");
        return NULL;
    }
    const unsigned char *bytes = m->pickle + m->at;
    m->at += count;
    return bytes;
}

/* A little-endian number of 1, 2 or 4 bytes. */
static kt_status take_number(machine *m, size_t bytes, uint32_t *number)
{
    const unsigned char *from = take(m, bytes);
    if (!from)
        return KT_BAD_FORMAT;
    *number = 0;
    for (size_t i = 0; i < bytes; i++)
        *number |= (uint32_t)from[i] << (8 * i);
    return KT_OK;
}

static kt_status push_index(machine *m, uint32_t index)
{
    if (m->stack_size >= MAX_STACK)
        return REFUSE(m, "the pickle's stack grows beyond %d values", (int)MAX_STACK);
    if (kti_grow((void **)&m->stack, m->stack_size, &m->stack_capacity, sizeof *m->stack) != 0)
        return out_of_memory(m);
    m->stack[m->stack_size++] = index;
    return KT_OK;
}

static kt_status push(machine *m, value pushed)
{
    if (m->values_size >= MAX_VALUES)
        return REFUSE(m, "the pickle builds more than %d values", (int)MAX_VALUES);
    if (kti_grow((void **)&m->values, m->values_size, &m->values_capacity, sizeof pushed) != 0)
        return out_of_memory(m);
    m->values[m->values_size] = pushed;
    return push_index(m, (uint32_t)m->values_size++);
}

/* Refuses unless `count` values lie on the stack above the topmost mark. */
static kt_status need(machine *m, size_t count)
{
    if (m->stack_size < count)
        return REFUSE(m, "the pickle's stack is empty");
    for (size_t i = 1; i <= count; i++)
        if (m->values[m->stack[m->stack_size - i]].kind == MARK)
            return REFUSE(m, "the pickle takes a mark for a value");
    return KT_OK;
}

/* Stack index just above the topmost mark. */
static kt_status find_mark(machine *m, size_t *above)
{
    for (size_t i = m->stack_size; i > 0; i--) {
        if (m->values[m->stack[i - 1]].kind == MARK) {
            *above = i;
            return KT_OK;
        }
    }
    return REFUSE(m, "the pickle closes a group that it never opened");
}

static bool is_text(const machine *m, const value *v, const char *text)
{
    return v->kind == TEXT && v->count == strlen(text) && memcmp(m->pickle + v->first, text, v->count) == 0;
}

static const value *item(const machine *m, const value *tuple, uint32_t i)
{
    return &m->values[m->items[tuple->first + i]];
}

static kt_status do_proto(machine *m)
{
    uint32_t version = 0;
    kt_status status = take_number(m, 1, &version);
    if (status == KT_OK && version != 2)
        return REFUSE(m, "pickle protocol %u; torch.save writes protocol 2", (unsigned)version);
    return status;
}

/* A line of GLOBAL, without its end. */
static kt_status take_line(machine *m, const char **line, size_t *length)
{
    size_t end = m->at;
    while (end < m->size && m->pickle[end] != '\n')
        end++;
    if (end == m->size)
        return REFUSE(m, "the pickle ends within an opcode");
    *line = (const char *)m->pickle + m->at;
    *length = end - m->at;
    m->at = end + 1;
    return KT_OK;
}

static kt_status do_global(machine *m)
{
    const char *module = NULL, *name = NULL;
    size_t module_length = 0, name_length = 0;
    kt_status status = take_line(m, &module, &module_length);
    if (status == KT_OK)
        status = take_line(m, &name, &name_length);
    if (status != KT_OK)
        return status;
    for (uint32_t i = 0; i < sizeof globals / sizeof globals[0]; i++)
        if (strlen(globals[i].module) == module_length && strlen(globals[i].name) == name_length &&
            memcmp(globals[i].module, module, module_length) == 0 &&
            memcmp(globals[i].name, name, name_length) == 0)
            return push(m, (value){.kind = GLOBAL, .first = i});
    return REFUSE(m, "GLOBAL `%.*s.%.*s` is refused: a file of weights may name tensors and nothing else",
                  module_length < 100 ? (int)module_length : 100, module,
                  name_length < 100 ? (int)name_length : 100, name);
}

static kt_status do_integer(machine *m, size_t bytes)
{
    uint32_t bits = 0;
    kt_status status = take_number(m, bytes, &bits);
    if (status != KT_OK)
        return status;
    int64_t number = bits;
    if (bytes == 4 && bits >> 31)
        number -= INT64_C(1) << 32;
    return push(m, (value){.kind = INTEGER, .number = number});
}

static kt_status do_text(machine *m)
{
    uint32_t length = 0;
    kt_status status = take_number(m, 4, &length);
    if (status != KT_OK)
        return status;
    size_t first = m->at;
    if (!take(m, length))
        return KT_BAD_FORMAT;
    return push(m, (value){.kind = TEXT, .first = (uint32_t)first, .count = length});
}

static kt_status do_put(machine *m, size_t bytes)
{
    uint32_t index = 0;
    kt_status status = take_number(m, bytes, &index);
    if (status == KT_OK)
        status = need(m, 1);
    if (status != KT_OK)
        return status;
    if (index >= MAX_MEMO)
        return REFUSE(m, "memo index %u; at most %d are accepted", (unsigned)index, (int)MAX_MEMO);
    if (index >= m->memo_size) {
        size_t grown_size = index < 1024 ? 1024 : 2 * (size_t)index;
        uint32_t *grown = realloc(m->memo, grown_size * sizeof *grown);
        if (!grown)
            return out_of_memory(m);
        memset(grown + m->memo_size, 0, (grown_size - m->memo_size) * sizeof *grown);
        m->memo = grown;
        m->memo_size = grown_size;
    }
    m->memo[index] = m->stack[m->stack_size - 1] + 1;
    return KT_OK;
}

static kt_status do_get(machine *m, size_t bytes)
{
    uint32_t index = 0;
    kt_status status = take_number(m, bytes, &index);
    if (status != KT_OK)
        return status;
    if (index >= m->memo_size || m->memo[index] == 0)
        return REFUSE(m, "memo index %u was never put", (unsigned)index);
    return push_index(m, m->memo[index] - 1);
}

/* Replaces the top `count` values by a tuple of them. */
static kt_status make_tuple(machine *m, size_t count)
{
    kt_status status = need(m, count);
    if (status != KT_OK)
        return status;
    value tuple = {.kind = TUPLE, .first = (uint32_t)m->items_size, .count = (uint32_t)count};
    for (size_t i = m->stack_size - count; i < m->stack_size; i++) {
        if (kti_grow((void **)&m->items, m->items_size, &m->items_capacity, sizeof *m->items) != 0)
            return out_of_memory(m);
        m->items[m->items_size++] = m->stack[i];
    }
    m->stack_size -= count;
    return push(m, tuple);
}

static kt_status do_tuple(machine *m)
{
    size_t above = 0;
    kt_status status = find_mark(m, &above);
    if (status != KT_OK)
        return status;
    size_t count = m->stack_size - above;
    status = make_tuple(m, count);
    if (status != KT_OK)
        return status;
    /* The tuple takes the mark's place. */
    m->stack[above - 1] = m->stack[above];
    m->stack_size = above;
    return KT_OK;
}

/* Puts the pairs on the stack from `above` on into the dictionary below them (`below`) and pops them. */
static kt_status set_items(machine *m, size_t below, size_t above)
{
    value *dictionary = &m->values[m->stack[below]];
    if (dictionary->kind != DICTIONARY && dictionary->kind != ORDERED)
        return REFUSE(m, "the pickle sets an item of what is no dictionary");
    if ((m->stack_size - above) % 2 != 0)
        return REFUSE(m, "the pickle sets a key without a value");
    for (size_t i = above; i < m->stack_size; i += 2) {
        if (kti_grow((void **)&m->members, m->members_size, &m->members_capacity, sizeof *m->members) != 0)
            return out_of_memory(m);
        uint32_t index = (uint32_t)m->members_size++;
        m->members[index] = (member){.key = m->stack[i], .value = m->stack[i + 1]};
        if (dictionary->count == 0)
            dictionary->first = index;
        else
            m->members[dictionary->last].next = index;
        dictionary->last = index;
        dictionary->count++;
    }
    return KT_OK;
}

static kt_status do_set_item(machine *m)
{
    kt_status status = need(m, 3);
    if (status == KT_OK)
        status = set_items(m, m->stack_size - 3, m->stack_size - 2);
    if (status == KT_OK)
        m->stack_size -= 2;
    return status;
}

static kt_status do_set_items(machine *m)
{
    size_t above = 0;
    kt_status status = find_mark(m, &above);
    if (status != KT_OK)
        return status;
    if (above < 2)
        return REFUSE(m, "the pickle's stack is empty");
    status = set_items(m, above - 2, above);
    if (status == KT_OK)
        m->stack_size = above - 1;
    return status;
}

/* The one BUILD of a state dict gives the OrderedDict its attribute _metadata (versions of modules): no
 * parameters. */
static kt_status do_build(machine *m)
{
    kt_status status = need(m, 2);
    if (status != KT_OK)
        return status;
    const value *object = &m->values[m->stack[m->stack_size - 2]];
    const value *state = &m->values[m->stack[m->stack_size - 1]];
    if (object->kind != ORDERED || state->kind != DICTIONARY || state->count != 1 ||
        !is_text(m, &m->values[m->members[state->first].key], "_metadata") ||
        m->values[m->members[state->first].value].kind != ORDERED)
        return REFUSE(m, "BUILD is refused but for the `_metadata` of a state dict");
    m->stack_size--;
    return KT_OK;
}

/* ("storage", class, key, location, elements) */
static kt_status do_persistent(machine *m)
{
    kt_status status = need(m, 1);
    if (status != KT_OK)
        return status;
    if (++m->identifiers > MAX_TENSORS)
        return REFUSE(m, "the pickle refers to storages more than %d times", (int)MAX_TENSORS);
    const value *id = &m->values[m->stack[m->stack_size - 1]];
    if (id->kind != TUPLE || id->count != 5 || !is_text(m, item(m, id, 0), "storage") ||
        item(m, id, 1)->kind != GLOBAL || item(m, id, 2)->kind != TEXT || item(m, id, 3)->kind != TEXT ||
        item(m, id, 4)->kind != INTEGER)
        return REFUSE(m, "a persistent identifier must be of a tensor's storage");
    storage found = {.key = m->items[id->first + 2]};
    switch (item(m, id, 1)->first) {
    case FLOAT_STORAGE: found.dtype = KTI_F32; break;
    case DOUBLE_STORAGE: found.dtype = KTI_F64; break;
    default: return REFUSE(m, "a storage must be a FloatStorage or a DoubleStorage");
    }
    int64_t elements = item(m, id, 4)->number;
    if (elements < 0 || (uint64_t)elements > KTI_PICKLE_DATA / kti_dtype_size(found.dtype))
        return REFUSE(m, "a storage of %lld elements is refused", (long long)elements);
    found.elements = (size_t)elements;
    const value *key = &m->values[found.key];
    bool digits = key->count > 0 && key->count <= 9;
    for (uint32_t i = 0; digits && i < key->count; i++)
        digits = m->pickle[key->first + i] >= '0' && m->pickle[key->first + i] <= '9';
    if (!digits)
        return REFUSE(m, "a storage's key must be a number");

    size_t index = 0;
    for (; index < m->storages_size; index++) {
        const value *other = &m->values[m->storages[index].key];
        if (other->count == key->count &&
            memcmp(m->pickle + other->first, m->pickle + key->first, key->count) == 0)
            break;
    }
    if (index < m->storages_size &&
        (m->storages[index].dtype != found.dtype || m->storages[index].elements != found.elements))
        return REFUSE(m, "storage %.*s is given two types or sizes", (int)key->count, m->pickle + key->first);
    if (index == m->storages_size) {
        if (kti_grow((void **)&m->storages, m->storages_size, &m->storages_capacity, sizeof found) != 0)
            return out_of_memory(m);
        m->storages[m->storages_size++] = found;
    }
    m->stack_size--;
    return push(m, (value){.kind = STORAGE, .first = (uint32_t)index});
}

/* Reads a tuple of up to four sizes or strides. */
static bool read_extents(const machine *m, const value *tuple, int64_t *extents)
{
    if (tuple->kind != TUPLE || tuple->count > KTI_TENSOR_RANK)
        return false;
    for (uint32_t i = 0; i < tuple->count; i++) {
        extents[i] = item(m, tuple, i)->number;
        if (item(m, tuple, i)->kind != INTEGER || extents[i] < 0)
            return false;
    }
    return true;
}

/* (storage, offset, sizes, strides, requires_grad, hooks): a view that must stay within its storage. */
static kt_status rebuild_tensor(machine *m, const value *arguments)
{
    if (arguments->count != 6 || item(m, arguments, 0)->kind != STORAGE ||
        item(m, arguments, 1)->kind != INTEGER || item(m, arguments, 4)->kind != BOOLEAN ||
        item(m, arguments, 5)->kind != ORDERED || item(m, arguments, 5)->count != 0)
        return REFUSE(m, "_rebuild_tensor_v2 is called with arguments that no state dict has");
    const value *sizes = item(m, arguments, 2), *strides = item(m, arguments, 3);
    tensor built = {.storage = item(m, arguments, 0)->first};
    size_t elements = 0, capacity = m->storages[built.storage].elements;
    if (!read_extents(m, sizes, built.shape) || !read_extents(m, strides, built.stride) ||
        sizes->count != strides->count)
        return REFUSE(m, "a tensor's sizes and strides must be up to four numbers >= 0 each");
    built.rank = (int)sizes->count;
    if (!kti_shape_elements(built.rank, built.shape, &elements) || elements > capacity)
        return REFUSE(m, "a tensor is larger than its storage of %zu elements", capacity);
    int64_t offset = item(m, arguments, 1)->number;
    /* Sizes and strides are below 2^31 each and `elements` below 2^26, so none of this overflows. */
    uint64_t last = (uint64_t)offset;
    for (int d = 0; d < built.rank && elements > 0; d++)
        last += (uint64_t)(built.shape[d] - 1) * (uint64_t)built.stride[d];
    if (offset < 0 || (elements > 0 && last >= capacity) || (elements == 0 && last > capacity))
        return REFUSE(m, "a tensor's offset and strides reach beyond its storage of %zu elements", capacity);
    built.offset = (size_t)offset;
    if (m->tensors_size >= MAX_TENSORS)
        return REFUSE(m, "the pickle builds more than %d tensors", (int)MAX_TENSORS);
    if (kti_grow((void **)&m->tensors, m->tensors_size, &m->tensors_capacity, sizeof built) != 0)
        return out_of_memory(m);
    m->tensors[m->tensors_size] = built;
    return push(m, (value){.kind = TENSOR, .first = (uint32_t)m->tensors_size++});
}

static kt_status do_reduce(machine *m)
{
    kt_status status = need(m, 2);
    if (status != KT_OK)
        return status;
    const value *callee = &m->values[m->stack[m->stack_size - 2]];
    const value *arguments = &m->values[m->stack[m->stack_size - 1]];
    if (callee->kind != GLOBAL || arguments->kind != TUPLE)
        return REFUSE(m, "REDUCE of what is no function or without arguments");
    m->stack_size -= 2;
    switch (callee->first) {
    case ORDERED_DICT:
        if (arguments->count != 0)
            return REFUSE(m, "OrderedDict is called with arguments");
        return push(m, (value){.kind = ORDERED});
    case REBUILD_TENSOR: return rebuild_tensor(m, arguments);
    case REBUILD_PARAMETER: /* (tensor, requires_grad, hooks) */
        if (arguments->count != 3 || item(m, arguments, 0)->kind != TENSOR)
            return REFUSE(m, "_rebuild_parameter is called with arguments that no state dict has");
        return push_index(m, m->items[arguments->first]);
    default: return REFUSE(m, "REDUCE of `%s`, which is no function", globals[callee->first].name);
    }
}

static kt_status do_opcode(machine *m, unsigned opcode)
{
    switch (opcode) {
    case OP_PROTO: return do_proto(m);
    case OP_MARK: return push(m, (value){.kind = MARK});
    case OP_GLOBAL: return do_global(m);
    case OP_BININT: return do_integer(m, 4);
    case OP_BININT1: return do_integer(m, 1);
    case OP_BININT2: return do_integer(m, 2);
    case OP_NEWTRUE: return push(m, (value){.kind = BOOLEAN, .number = 1});
    case OP_NEWFALSE: return push(m, (value){.kind = BOOLEAN});
    case OP_BINUNICODE: return do_text(m);
    case OP_BINPUT: return do_put(m, 1);
    case OP_LONG_BINPUT: return do_put(m, 4);
    case OP_BINGET: return do_get(m, 1);
    case OP_LONG_BINGET: return do_get(m, 4);
    case OP_EMPTY_TUPLE: return make_tuple(m, 0);
    case OP_TUPLE1: return make_tuple(m, 1);
    case OP_TUPLE2: return make_tuple(m, 2);
    case OP_TUPLE3: return make_tuple(m, 3);
    case OP_TUPLE: return do_tuple(m);
    case OP_EMPTY_DICT: return push(m, (value){.kind = DICTIONARY});
    case OP_SETITEM: return do_set_item(m);
    case OP_SETITEMS: return do_set_items(m);
    case OP_BUILD: return do_build(m);
    case OP_BINPERSID: return do_persistent(m);
    case OP_REDUCE: return do_reduce(m);
    default: return REFUSE(m, "pickle opcode 0x%02x is refused: no state dict uses it", opcode);
    }
}

/* Runs to STOP, which must end the pickle and leave one value. */
static kt_status execute(machine *m)
{
    while (m->at < m->size) {
        m->start = m->at;
        unsigned opcode = m->pickle[m->at++];
        if (m->start == 0 && opcode != OP_PROTO)
            return REFUSE(m, "not a pickle of protocol 2");
        if (opcode == OP_STOP) {
            if (m->at != m->size)
                return REFUSE(m, "%zu bytes follow the pickle's end", m->size - m->at);
            kt_status status = need(m, 1);
            if (status == KT_OK && m->stack_size != 1)
                return REFUSE(m, "the pickle ends with %zu values; one is expected", m->stack_size);
            return status;
        }
        kt_status status = do_opcode(m, opcode);
        if (status != KT_OK)
            return status;
    }
    m->start = m->size;
    return REFUSE(m, "the pickle has no end");
}

static kt_status load_storage(machine *m, storage *from, const kti_storage_source *source)
{
    char key[16];
    const value *text = &m->values[from->key];
    if (from->data)
        return KT_OK;
    memcpy(key, m->pickle + text->first, text->count);
    key[text->count] = '\0';
    return source->get(source->context, key, from->elements * kti_dtype_size(from->dtype), &from->data,
                       m->error);
}

/* Row-major copy of a view. */
static void gather(const tensor *view, const storage *from, kti_tensor *to)
{
    int64_t shape[KTI_TENSOR_RANK], stride[KTI_TENSOR_RANK];
    size_t size = kti_dtype_size(from->dtype);
    for (int d = 0; d < KTI_TENSOR_RANK; d++) {
        int own = d - (KTI_TENSOR_RANK - view->rank);
        shape[d] = own >= 0 ? view->shape[own] : 1;
        stride[d] = own >= 0 ? view->stride[own] : 0;
    }
    const char *source = from->data;
    char *target = to->data;
    for (int64_t i = 0; i < shape[0]; i++)
        for (int64_t j = 0; j < shape[1]; j++)
            for (int64_t k = 0; k < shape[2]; k++)
                for (int64_t l = 0; l < shape[3]; l++, target += size) {
                    size_t at = view->offset +
                                (size_t)(i * stride[0] + j * stride[1] + k * stride[2] + l * stride[3]);
                    memcpy(target, source + at * size, size);
                }
}

/* The member's key as a name; a plain one, since it goes into messages and files. */
static kt_status read_name(machine *m, const value *key, char name[MAX_NAME + 1])
{
    bool good = key->kind == TEXT && key->count > 0 && key->count <= MAX_NAME;
    for (uint32_t i = 0; good && i < key->count; i++)
        good = m->pickle[key->first + i] > ' ' && m->pickle[key->first + i] < 127;
    if (!good)
        return REFUSE(m, "a key of the state dict is no plain name");
    memcpy(name, m->pickle + key->first, key->count);
    name[key->count] = '\0';
    return KT_OK;
}

static kt_status build_tensors(machine *m, const kti_storage_source *source, kti_tensors *tensors)
{
    const value *top = &m->values[m->stack[0]];
    size_t total = 0;
    if (top->kind != ORDERED && top->kind != DICTIONARY)
        return REFUSE(m, "the pickle must hold a dictionary of tensors");
    uint32_t at = top->first;
    for (uint32_t i = 0; i < top->count; i++, at = m->members[at].next) {
        char name[MAX_NAME + 1];
        const value *held = &m->values[m->members[at].value];
        kt_status status = read_name(m, &m->values[m->members[at].key], name);
        if (status != KT_OK)
            return status;
        if (held->kind != TENSOR)
            return REFUSE(m, "key `%s` holds no tensor", name);
        if (kti_tensors_find(tensors, name))
            return REFUSE(m, "key `%s` occurs twice", name);
        if (tensors->size >= MAX_TENSORS)
            return REFUSE(m, "the state dict has more than %d keys", (int)MAX_TENSORS);
        const tensor *view = &m->tensors[held->first];
        storage *from = &m->storages[view->storage];
        size_t elements = 0;
        kti_shape_elements(view->rank, view->shape, &elements);
        total += elements * kti_dtype_size(from->dtype);
        if (total > KTI_PICKLE_DATA)
            return REFUSE(m, "the state dict holds more than %d bytes", (int)KTI_PICKLE_DATA);
        kti_tensor *added = NULL;
        status = load_storage(m, from, source);
        if (status == KT_OK)
            status = kti_tensors_add(tensors, name, from->dtype, view->rank, view->shape, &added, m->error);
        if (status != KT_OK)
            return status;
        if (elements > 0)
            gather(view, from, added);
    }
    return KT_OK;
}

kt_status kti_pickle_parse(const void *data, size_t size, const char *name, const kti_storage_source *source,
                           kti_tensors *tensors, kt_error *error)
{
    *tensors = (kti_tensors){0};
    if (size > KTI_PICKLE_LIMIT)
        return kti_fail_file(error, KT_BAD_FORMAT, name, "a pickle of %zu bytes; at most %d are accepted",
                             size, (int)KTI_PICKLE_LIMIT);
    machine m = {.pickle = data, .size = size, .name = name, .error = error};
    kt_status status = execute(&m);
    if (status == KT_OK)
        status = build_tensors(&m, source, tensors);
    if (status != KT_OK)
        kti_tensors_destroy(tensors);
    free_machine(&m);
    return status;
}
