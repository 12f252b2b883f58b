#include "train/runs.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "support.h"

#include "base/file.h"
#include "base/json.h"
#include "data/csv.h"
#include "model/architecture.h"
#include "model/initialise.h"
#include "model/safetensors.h"
#include "train/parameters.h"

enum { LARGEST_FILE = 1 << 28 };

void scratch_create(scratch *made)
{
    snprintf(made->path, sizeof made->path, "/tmp/kappatune-train-XXXXXX");
    assert_non_null(mkdtemp(made->path));
}

static void delete_folder(const char *path)
{
    DIR *list = opendir(path);
    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        char inner[PATH_SIZE];
        struct stat about;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        path_in(path, entry->d_name, inner);
        if (lstat(inner, &about) == 0 && S_ISDIR(about.st_mode))
            delete_folder(inner);
        else
            unlink(inner);
    }
    closedir(list);
    assert_int_equal(rmdir(path), 0);
}

void scratch_destroy(scratch *made)
{
    delete_folder(made->path);
}

char *path_in(const char *folder, const char *name, char text[PATH_SIZE])
{
    const int length = snprintf(text, PATH_SIZE, "%s/%s", folder, name);
    assert_true(length > 0 && length < PATH_SIZE);
    return text;
}

void make_dataset(const char *folder, int crystals, const double *kappa)
{
    kt_error error = KT_ERROR_NONE;
    kti_csv csv = {0};
    bool found;
    char path[PATH_SIZE], *togo15 = realpath(data_path("togo15"), NULL);
    assert_non_null(togo15);
    assert_ok(kti_make_folder(folder, &error), &error);
    FILE *out = fopen(path_in(folder, "id_prop.csv", path), "w");
    assert_non_null(out);
    assert_ok(kti_csv_open(data_path("togo15/id_prop.csv"), &csv, &error), &error);
    assert_ok(kti_csv_next(&csv, &found, &error), &error); /* the header */
    for (int i = 0; i < crystals; i++) {
        char target[4096], name[128];
        assert_ok(kti_csv_next(&csv, &found, &error), &error);
        assert_true(found);
        if (kappa && kappa[i] != 0)
            fprintf(out, "%s,%.17g\n", csv.field[0], kappa[i]);
        else
            fprintf(out, "%s,%s\n", csv.field[0], csv.field[1]);
        snprintf(name, sizeof name, "%s.cif", csv.field[0]);
        snprintf(target, sizeof target, "%s/%s", togo15, name);
        assert_int_equal(symlink(target, path_in(folder, name, path)), 0);
    }
    free(togo15);
    kti_csv_close(&csv);
    assert_int_equal(fclose(out), 0);
}

kt_train_options small_options(const char *data, const char *out)
{
    kt_train_options options = kt_train_options_default(KT_SOUND);
    options.data[0] = data;
    options.run.out = out;
    options.folds = 3;
    options.epochs = 6;
    options.run.checkpoint_seconds = 1e9;
    return options;
}

void train(const kt_train_options *options, kt_train_result *result)
{
    kt_error error = KT_ERROR_NONE;
    kt_train_result own;
    assert_ok(kt_train(options, result ? result : &own, &error), &error);
    if (!result)
        kt_train_result_destroy(&own);
}

char *read_whole(const char *path, size_t *size)
{
    kt_error error = KT_ERROR_NONE;
    char *data;
    assert_ok(kti_file_read(path, LARGEST_FILE, &data, size, &error), &error);
    return data;
}

int differs(const char *left, const char *right, const char *name)
{
    char path[PATH_SIZE];
    size_t left_size, right_size;
    char *left_data = read_whole(path_in(left, name, path), &left_size);
    char *right_data = read_whole(path_in(right, name, path), &right_size);
    const int different = left_size != right_size || memcmp(left_data, right_data, left_size) != 0;
    if (different)
        print_error("%s differs between %s and %s\n", name, left, right);
    free(left_data);
    free(right_data);
    return different;
}

int run_differs(const char *left, const char *right, int folds)
{
    int different = differs(left, right, "metrics.json") + differs(left, right, "epochs.csv") +
                    differs(left, right, "predictions.csv");
    for (int fold = 1; fold <= folds; fold++) {
        char name[64];
        snprintf(name, sizeof name, "folds/%d/last.safetensors", fold);
        different += differs(left, right, name);
        snprintf(name, sizeof name, "folds/%d/best.safetensors", fold);
        different += differs(left, right, name);
    }
    return different;
}

static void give_number(const json_t *line, const char *key, int *number)
{
    if (number)
        *number = (int)json_integer_value(json_object_get(line, key));
}

int count_events(const char *run, const char *event, int *fold, int *epoch, int *batch)
{
    char path[PATH_SIZE];
    size_t size;
    int count = 0;
    char *text = read_whole(path_in(run, "log.jsonl", path), &size);
    for (char *line = text, *end; line < text + size; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        json_t *object = json_loadb(line, (size_t)(end - line), JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(object);
        assert_non_null(json_string_value(json_object_get(object, "time")));
        assert_non_null(json_string_value(json_object_get(object, "text")));
        if (strcmp(json_string_value(json_object_get(object, "event")), event) == 0) {
            count++;
            give_number(object, "fold", fold);
            give_number(object, "epoch", epoch);
            give_number(object, "batch", batch);
        }
        json_decref(object);
    }
    free(text);
    return count;
}

double epoch_value(const char *run, int fold, int epoch, const char *column)
{
    kt_error error = KT_ERROR_NONE;
    kti_csv csv = {0};
    bool found;
    int at = 0;
    char path[PATH_SIZE];
    assert_ok(kti_csv_open(path_in(run, "epochs.csv", path), &csv, &error), &error);
    assert_ok(kti_csv_next(&csv, &found, &error), &error);
    while (at < csv.fields && strcmp(csv.field[at], column) != 0)
        at++;
    assert_true(at < csv.fields);
    for (;;) {
        assert_ok(kti_csv_next(&csv, &found, &error), &error);
        assert_true(found); /* else there is no such fold or epoch */
        if (atoi(csv.field[0]) == fold && atoi(csv.field[1]) == epoch)
            break;
    }
    double value = NAN;
    if (csv.field[at][0])
        assert_true(kti_number_parse(csv.field[at], &value));
    kti_csv_close(&csv);
    return value;
}

void read_weights(const char *run, int fold, const char *name, kti_tensors *tensors)
{
    kt_error error = KT_ERROR_NONE;
    char relative[64], path[PATH_SIZE];
    snprintf(relative, sizeof relative, "folds/%d/%s", fold, name);
    assert_ok(kti_safetensors_read(path_in(run, relative, path), tensors, &error), &error);
}

double metadata_number(const kti_tensors *tensors, const char *key)
{
    double value = NAN;
    const char *text = kti_tensors_metadata(tensors, key);
    assert_non_null(text);
    assert_true(kti_number_parse(text, &value));
    return value;
}

void make_weights(const char *path, uint64_t seed, void (*change)(kti_tensors *tensors))
{
    kt_error error = KT_ERROR_NONE;
    kti_tensors tensors = {0};
    const kti_layout layout = kti_layout_create(false);
    const unsigned parts = 1u << KTI_PART_BODY | 1u << KTI_PART_HEAD;
    kt_real *arena = calloc((size_t)layout.size, sizeof *arena);
    assert_non_null(arena);
    kti_initialise(&layout, arena, parts, seed, 1, 0);
    assert_ok(kti_architecture_describe(&tensors, false, &error), &error);
    assert_ok(kti_arena_store(&layout, arena, "", parts, &tensors, &error), &error);
    if (change)
        change(&tensors);
    assert_ok(kti_safetensors_write(path, &tensors, &error), &error);
    kti_tensors_destroy(&tensors);
    free(arena);
}

void scale_tensor(kti_tensors *tensors, const char *name, float factor, float offset)
{
    const kti_tensor *tensor = kti_tensors_find(tensors, name);
    assert_non_null(tensor);
    assert_int_equal(tensor->dtype, KTI_F32);
    for (size_t i = 0; i < tensor->elements; i++)
        ((float *)tensor->data)[i] = ((float *)tensor->data)[i] * factor + offset;
}

void collect_message(void *user, const char *text)
{
    messages *list = user;
    if (list->size < (int)(sizeof list->text / sizeof list->text[0]))
        snprintf(list->text[list->size], sizeof list->text[0], "%s", text);
    list->size++;
}

int count_messages(const messages *list, const char *part)
{
    int count = 0;
    assert_true(list->size <= (int)(sizeof list->text / sizeof list->text[0]));
    for (int i = 0; i < list->size; i++)
        count += strstr(list->text[i], part) != NULL;
    return count;
}
