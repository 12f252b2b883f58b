/* Handles: which are alive. */
#include "cuda_emulator/internal.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const names[EMU_CLASSES] = {"stream",          "event",
                                               "graph",           "executable graph",
                                               "cuBLASLt handle", "matmul descriptor",
                                               "matrix layout",   "matmul preference",
                                               "cuDNN handle",    "cuDNN descriptor",
                                               "communicator"};

static emu_object *first[EMU_CLASSES];
static int numbers;

void *emu_object_create(emu_class class, size_t bytes)
{
    emu_object *o = emu_allocate(bytes);
    *o = (emu_object){class, ++numbers, first[class], NULL};
    if (o->next)
        o->next->previous = o;
    return first[class] = o;
}

void *emu_object_find(emu_class class, const void *handle)
{
    for (emu_object *o = first[class]; o; o = o->next)
        if (o == handle)
            return o;
    emu_violation("%s: not a live %s", emu_call(), names[class]);
    return NULL;
}

void emu_object_destroy(void *object)
{
    emu_object *o = object;
    if (o->next)
        o->next->previous = o->previous;
    *(o->previous ? &o->previous->next : &first[o->class]) = o->next;
    free(o);
}

void *emu_object_next(emu_class class, void *object)
{
    return object ? ((emu_object *)object)->next : first[class];
}

int emu_list_objects(void (*tell)(const char *text))
{
    int n = 0;
    for (int c = 0; c < EMU_CLASSES; c++)
        for (emu_object *o = first[c]; o; o = o->next, n++) {
            char text[64];
            snprintf(text, sizeof text, "%s (object %d)", names[c], o->number);
            tell(text);
        }
    return n;
}

void emu_forget_objects(void)
{
    for (int c = 0; c < EMU_CLASSES; c++)
        while (first[c])
            emu_object_destroy(first[c]);
    numbers = 0;
}
