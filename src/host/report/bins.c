#include "report/bins.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "report/plot.h"

enum { MAX_CELLS = 2500, LEVELS = 5 };

static const double opacity[LEVELS] = {0.15, 0.32, 0.52, 0.75, 1};

kti_axis kti_axis_of_kappa(void)
{
    return (kti_axis){.low = -6, .step = 0.1, .size = 120, .logarithmic = true};
}

int kti_axis_bin(const kti_axis *axis, double value)
{
    const double at = axis->logarithmic ? (value > 0 ? log10(value) : NAN) : value;
    if (!isfinite(at))
        return -1;
    const double bin = floor((at - axis->low) / axis->step);
    return bin < 0 ? 0 : bin >= axis->size ? axis->size - 1 : (int)bin;
}

double kti_axis_edge(const kti_axis *axis, int bin)
{
    const double at = axis->low + axis->step * bin;
    return axis->logarithmic ? pow(10, at) : at;
}

kt_status kti_cloud_create(kti_axis x, kti_axis y, kti_cloud *cloud, kt_error *error)
{
    *cloud = (kti_cloud){.x = x, .y = y, .min = {INFINITY, INFINITY}, .max = {-INFINITY, -INFINITY}};
    cloud->count = kti_allocate((size_t)x.size * (size_t)y.size, sizeof *cloud->count);
    cloud->point = kti_allocate(KTI_CLOUD_POINTS, sizeof *cloud->point);
    return cloud->count && cloud->point ? KT_OK : kti_fail_memory(error, "a figure");
}

void kti_cloud_destroy(kti_cloud *cloud)
{
    free(cloud->count);
    free(cloud->point);
    *cloud = (kti_cloud){0};
}

void kti_cloud_add(kti_cloud *cloud, double x, double y)
{
    const int column = kti_axis_bin(&cloud->x, x), row = kti_axis_bin(&cloud->y, y);
    const double at[2] = {x, y};
    if (column < 0 || row < 0)
        return;
    cloud->count[(int64_t)column * cloud->y.size + row]++;
    for (int i = 0; i < 2; i++) {
        cloud->min[i] = fmin(cloud->min[i], at[i]);
        cloud->max[i] = fmax(cloud->max[i], at[i]);
        if (cloud->size < KTI_CLOUD_POINTS)
            cloud->point[cloud->size][i] = at[i];
    }
    cloud->size++;
}

/* Counts of cells that are `factor` bins wide and high; `cell` [columns, rows]. Returns how many are not empty. */
static int merge(const kti_cloud *cloud, int factor, int64_t *cell, int rows, int64_t *max)
{
    int filled = 0;
    *max = 0;
    for (int i = 0; i < cloud->x.size * cloud->y.size; i++)
        if (cloud->count[i] > 0) {
            int64_t *to = &cell[(i / cloud->y.size / factor) * rows + i % cloud->y.size / factor];
            filled += *to == 0;
            *to += cloud->count[i];
            *max = *to > *max ? *to : *max;
        }
    return filled;
}

static int level_of(int64_t count, int64_t max)
{
    const double at = max > 1 ? log((double)count) / log((double)max) : 1;
    return at >= 1 ? LEVELS - 1 : (int)(at * LEVELS);
}

static void draw_cells(const kti_cloud *cloud, const char *colour, kti_text *data, kti_text *plot)
{
    int64_t *cell = NULL, max = 0;
    int factor = 1, rows = 0, columns = 0;
    do {
        free(cell);
        rows = (cloud->y.size + factor - 1) / factor;
        columns = (cloud->x.size + factor - 1) / factor;
        cell = kti_allocate((size_t)rows * (size_t)columns, sizeof *cell);
    } while (cell && merge(cloud, factor, cell, rows, &max) > MAX_CELLS && ++factor);
    data->failed = data->failed || !cell;
    for (int level = 0; level < LEVELS && cell; level++) {
        bool any = false;
        kti_text_add(data, "$cells%d << EOD\n", level);
        for (int i = 0; i < rows * columns; i++)
            if (cell[i] > 0 && level_of(cell[i], max) == level) {
                const int x = i / rows * factor, y = i % rows * factor;
                const double left = kti_axis_edge(&cloud->x, x), right = kti_axis_edge(&cloud->x, x + factor),
                             low = kti_axis_edge(&cloud->y, y), high = kti_axis_edge(&cloud->y, y + factor);
                kti_text_add(data, "%.5g %.5g %.5g %.5g %.5g %.5g\n", left, low, left, right, low, high);
                any = true;
            }
        kti_text_add(data, "EOD\n");
        if (any)
            kti_text_add(plot,
                         "$cells%d using 1:2:3:4:5:6 with boxxyerror fs transparent solid %.2f noborder "
                         "lc rgb '%s' notitle, ",
                         level, opacity[level], colour);
    }
    free(cell);
}

void kti_cloud_draw(const kti_cloud *cloud, const char *colour, kti_text *data, kti_text *plot)
{
    if (cloud->size > KTI_CLOUD_POINTS) {
        draw_cells(cloud, colour, data, plot);
        return;
    }
    kti_text_add(data, "$points << EOD\n");
    for (int64_t i = 0; i < cloud->size; i++)
        kti_text_add(data, "%.6g %.6g\n", cloud->point[i][0], cloud->point[i][1]);
    kti_text_add(data, "EOD\n");
    if (cloud->size > 0)
        kti_text_add(plot, "$points with points pt 7 ps 0.4 lc rgb '%s' notitle, ", colour);
}

const char *kti_cloud_remark(const kti_cloud *cloud)
{
    return cloud->size > KTI_CLOUD_POINTS ? " Cells stand for the points, all of which are counted: the "
                                            "darker, the more, on a logarithmic scale."
                                          : "";
}

void kti_bins_add_block(kti_text *data, const char *name, const kti_axis *axis, const int64_t *count,
                        int64_t total)
{
    kti_text_add(data, "$%s << EOD\n", name);
    for (int i = 0; i < axis->size; i++)
        if (count[i] > 0)
            kti_text_add(data, "%.5g %.5g %.5g\n", kti_axis_edge(axis, i), kti_axis_edge(axis, i + 1),
                         100.0 * (double)count[i] / (double)total);
    kti_text_add(data, "EOD\n");
}
