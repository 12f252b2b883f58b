#include "cli/bench_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/cost.h"
#include "device/launch.h"

#define TEXT(name) #name

static const char *operation_name(kti_operation_kind kind)
{
    static const char *const names[KTI_OP_KINDS] = {
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row) TEXT(member),
#include "kernels/operations.inc"
    };
    return names[kind];
}

static const char *rows_name(const kti_operation *operation)
{
    static const char *const names[KT_ROW_KINDS] = {
        [KT_EDGES] = "edges", [KT_NODES] = "nodes", [KT_GRAPHS] = "graphs"};
    const kt_count *rows = kti_operation_rows(operation);
    return rows ? names[rows->kind] : "";
}

/* ---- shapes ---- */

/* `name` is as the table has it, "a->in" or "a->rest.gather[g].data". */
static void put_matrix(FILE *to, const char *sign, const char *name, kt_matrix m, int columns)
{
    const char *own = strstr(name, "->");
    own = own ? own + 2 : name;
    if (m.data)
        fprintf(to, ", %s%.*s %d", sign, (int)strcspn(own, "["), own, columns);
}

static void put_product(FILE *to, const kt_gemm *a)
{
    const char *sign = a->accumulate ? "+=" : "=";
    switch (a->product) {
    case KT_FORWARD: fprintf(to, ", %s %d from %d", sign, a->n, a->k); break;
    case KT_INPUT_GRADIENT: fprintf(to, ", %s gradient %d from %d", sign, a->n, a->k); break;
    case KT_WEIGHT_GRADIENT: fprintf(to, ", %s gradient of weights %d x %d", sign, a->m, a->n); break;
    }
}

static void put_uses(FILE *to, const kti_operation *operation)
{
    switch (operation->kind) {
#define READS(matrix, columns) put_matrix(to, "", #matrix, matrix, columns);
#define WRITES(matrix, columns) put_matrix(to, "= ", #matrix, matrix, columns);
#define PRODUCT(gemm) put_product(to, &(gemm));
#define READS_TYPES(type_start) fputs(", nodes by type", to);
#define WRITES_TYPES(type_start) fputs(", = nodes by type", to);
#define OPAQUE
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row)                          \
    case KTI_OP_##NAME: {                                                                                    \
        const type *a = &operation->arguments.member;                                                        \
        (void)a;                                                                                             \
        uses break;                                                                                          \
    }
#include "kernels/operations.inc"
    case KTI_OP_KINDS: break;
    }
}

/* "in 32, base 32, = out 32". */
static json_t *shape_of(const kti_operation *operation)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    if (!to)
        return NULL;
    put_uses(to, operation);
    const int failed = fclose(to);
    json_t *json = failed ? NULL : json_string(size > 2 ? text + 2 : "");
    free(text);
    return json;
}

/* ---- what an operation stands for ---- */

static kti_operation of_link(const kt_link *l)
{
    kti_operation made = {.kind = KTI_OP_KINDS};
    switch (l->kind) {
#define LINK_IF(condition) KT_KEEP
#define NO_LINK KT_DROP
#define OPERATION(NAME, member, type, kernels, cpu, rows, uses, cost, link, by_row)                          \
    link(case KT_LINK_##NAME : made.kind = KTI_OP_##NAME; made.arguments.member = l->of.member; break;)
#include "kernels/operations.inc"
    }
    return made;
}

/* The i-th operation that a group or a chain stands for; false: there are no more. */
static bool find_part(const kti_operation *operation, int i, kti_operation *part)
{
    const kt_layer_group *layers = &operation->arguments.layer_group;
    const kt_gemm_group *products = &operation->arguments.gemm_group;
    const kt_chain *chain = &operation->arguments.chain;
    if (operation->kind == KTI_OP_LAYER_GROUP && i < layers->size)
        *part =
            (kti_operation){.kind = KTI_OP_LAYER_FORWARD, .arguments = {.layer_forward = layers->layer[i]}};
    else if (operation->kind == KTI_OP_GEMM_GROUP && i < products->size)
        *part = (kti_operation){.kind = KTI_OP_LAYER_BACKWARD,
                                .arguments = {.layer_backward = products->part[i]}};
    else if (operation->kind == KTI_OP_CHAIN && i < chain->size)
        *part = of_link(&chain->link[i]);
    else
        return false;
    return true;
}

static json_t *parts_of(const kti_operation *operation)
{
    kti_operation part;
    json_t *parts = json_array();
    for (int i = 0; find_part(operation, i, &part); i++)
        json_array_append_new(parts, json_pack("{s:s, s:s, s:o}", "operation", operation_name(part.kind),
                                               "rows", rows_name(&part), "shape", shape_of(&part)));
    return parts;
}

static json_t *waits_of(const kti_operation *operation, int i)
{
    json_t *waits = operation->waits > 0 ? json_array() : json_null();
    for (int w = operation->waits - 1; w >= 0; w--)
        json_array_append_new(waits, json_integer(i - operation->back[w]));
    return waits;
}

json_t *kti_bench_plan(const kti_operation *list, int size, const double rows[KT_ROW_KINDS])
{
    json_t *plan = json_array();
    for (int i = 0; i < size && plan; i++) {
        const kti_cost cost = kti_operation_cost(&list[i], rows);
        json_t *one = json_pack(
            "{s:i, s:s, s:s, s:s, s:i, s:f, s:f, s:o, s:o, s:o}", "number", i, "operation",
            operation_name(list[i].kind), "part", kti_family_name(list[i].family), "rows",
            rows_name(&list[i]), "launches", cost.launches, "bytes", cost.bytes, "flops", cost.flops, "waits",
            waits_of(&list[i], i), "shape", shape_of(&list[i]), "stands_for", parts_of(&list[i]));
        if (!one || json_array_append_new(plan, one) != 0) {
            json_decref(plan);
            plan = NULL;
        }
    }
    return plan;
}

/* ---- the table ---- */

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void print_waits(const json_t *waits)
{
    char text[128] = "all";
    size_t used = 0, i;
    const json_t *one;
    json_array_foreach(waits, i, one) if (used < sizeof text) used +=
        (size_t)snprintf(text + used, sizeof text - used, "%s%d", i ? " " : "", (int)json_integer_value(one));
    printf(" %-16s", text);
}

void kti_bench_plan_print(const json_t *plan)
{
    size_t i, k;
    const json_t *one, *part;
    printf("%4s %-20s %-10s %-7s %8s %10s %10s  %-16s %s\n", "", "operation", "part", "rows", "launches",
           "kB", "kFLOP", "waits for", "reads, = makes (columns)");
    json_array_foreach(plan, i, one)
    {
        printf("%4d %-20s %-10s %-7s %8d %10.1f %10.1f ", (int)i, text_of(one, "operation"),
               text_of(one, "part"), text_of(one, "rows"), (int)number_of(one, "launches"),
               number_of(one, "bytes") / 1e3, number_of(one, "flops") / 1e3);
        print_waits(json_object_get(one, "waits"));
        printf(" %s\n", text_of(one, "shape"));
        json_array_foreach(json_object_get(one, "stands_for"), k, part)
            printf("%4s   %-18s %-10s %-7s %49s %s\n", "", text_of(part, "operation"), "",
                   text_of(part, "rows"), "", text_of(part, "shape"));
    }
}
