/* kappatune scan: the rows of predict from every source, in order, the same for any number of threads and after any kill; what is
 * broken is named. */
#include "cli/program.h"

#include "data/csv.h"

#define MODEL "models/togo15-hh143"
#define NETWORK "models/aflow-agl"
#define EXAMPLES "datasets/examples"

enum { COLUMNS = 9 + 2 + 4 + 9 };

/* The field of the row whose id ends with `id`, into one of a few static buffers; "" if there is none. */
static const char *cell(const char *path, const char *id, int field)
{
    static char text[8][128];
    static int next;
    char *to = text[next++ % 8];
    kt_error error = KT_ERROR_NONE;
    kti_csv csv;
    bool found = true;
    to[0] = '\0';
    assert_ok(kti_csv_open(path, &csv, &error), &error);
    while (kti_csv_next(&csv, &found, &error) == KT_OK && found) {
        const size_t length = strlen(csv.field[0]), end = strlen(id);
        if (length >= end && strcmp(csv.field[0] + length - end, id) == 0)
            snprintf(to, sizeof text[0], "%s", csv.field[field]);
    }
    assert_ok(error.status, &error);
    kti_csv_close(&csv);
    return to;
}

static void assert_same_files(const char *folder, const char *left, const char *right)
{
    size_t left_size, right_size;
    char *a = read_text(in(folder, left), &left_size), *b = read_text(in(folder, right), &right_size);
    if (left_size != right_size || memcmp(a, b, left_size) != 0)
        fail_msg("%s and %s differ", left, right);
    free(a);
    free(b);
}

static void rows_are_those_of_predict(void **state)
{
    static const char *const crystals[] = {"calcium_fluoride.cif", "silicon.cif", "strontium_titanate.cif"};
    static const char *const models[] = {MODEL, NETWORK};
    const char *folder = *state;
    outcome r = {0};
    for (int m = 0; m < 2; m++) {
        char text[64];
        run(&r, folder, "$KT predict %s " EXAMPLES " --format csv >$D/predicted.csv", models[m]);
        assert_status(&r, 0);
        snprintf(text, sizeof text, "%d.csv", m);
        run(&r, folder, "$KT scan %s " EXAMPLES " --out $D/%s --quiet", models[m], text);
        assert_status(&r, 0);
        assert_string_equal(r.out, "");
        assert_string_equal(r.err, "");
        /* The geometric mean and its spread stand before the intervals; predict's nearest crystal behind them. */
        const int judged = m == 0 ? 13 : 11;
        for (int i = 0; i < 3; i++)
            for (int field = 1; field < judged + 9; field++) {
                const char *row = in(folder, text), *single = in(folder, "predicted.csv");
                assert_string_equal(cell(row, crystals[i], field + (field < 7 ? 0 : 2)),
                                    cell(single, crystals[i], field + (field < judged ? 0 : 3)));
            }
        const double geometric = strtod(cell(in(folder, text), "silicon.cif", 7), NULL);
        assert_true(geometric > strtod(cell(in(folder, text), "silicon.cif", 5), NULL));
        assert_true(geometric <= strtod(cell(in(folder, text), "silicon.cif", 3), NULL));
    }
    outcome_destroy(&r);
}

/* One crystal as text of each format, by their names. */
static void write_sources(const char *folder)
{
    static const char silicon[] = "2\n"
                                  "Lattice=\"0 2.7155 2.7155 2.7155 0 2.7155 2.7155 2.7155 0\" "
                                  "Properties=species:S:1:pos:R:3\n"
                                  "Si 0 0 0\nSi 1.35775 1.35775 1.35775\n";
    static const char germanium[] = "2\n"
                                    "Lattice=\"0 2.829 2.829 2.829 0 2.829 2.829 2.829 0\" "
                                    "Properties=species:S:1:pos:R:3\n"
                                    "Ge 0 0 0\nGe 1.4145 1.4145 1.4145\n";
    char text[1024];
    write_text(folder, "one.xyz", silicon);
    write_text(folder, "other.xyz", germanium);
    snprintf(text, sizeof text, "%s\n%s\n\n", silicon, germanium);
    write_text(folder, "both.extxyz", text);
}

static void every_source_gives_the_same_rows(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_sources(folder);
    run(&r, folder,
        "mkdir -p $D/deep/er && cp " EXAMPLES "/*.cif $D/deep/er && cp $D/one.xyz $D/deep && echo nothing "
        ">$D/deep/notes.md && (cat $D/deep/er/*.cif; printf 'data_empty\\n_x 1\\n') >$D/all.cif && tar -C $D "
        "-czf $D/all.tar.gz deep && (cd $D && python3 -m zipfile -c all.zip deep/) && printf '# of "
        "two\\n%%s\\n\\n%%s\\n' $D/deep/er/silicon.cif $D/other.xyz >$D/some.txt");
    assert_status(&r, 0);
    run(&r, folder,
        "$KT scan " MODEL " $D/deep $D/all.cif $D/both.extxyz $D/all.tar.gz $D/all.zip $D/some.txt "
        "--out $D/rows.csv");
    assert_status(&r, 0);
    assert_complains(&r, "19 crystals, 19 rows in");
    const char *rows = in(folder, "rows.csv");
    char silicon[64];
    snprintf(silicon, sizeof silicon, "%s", cell(rows, "deep/er/silicon.cif", 3));
    assert_true(strtod(silicon, NULL) > 50);
    assert_string_equal(cell(rows, "all.cif#silicon", 3), silicon);
    assert_string_equal(cell(rows, "all.tar.gz:deep/er/silicon.cif", 3), silicon);
    assert_string_equal(cell(rows, "all.zip:deep/er/silicon.cif", 3), silicon);
    assert_string_equal(cell(rows, "both.extxyz#1", 3), cell(rows, "deep/one.xyz", 3));
    assert_string_equal(cell(rows, "both.extxyz#2", 3), cell(rows, "/other.xyz", 3));
    assert_string_equal(cell(rows, "both.extxyz#2", 1), "Ge");
    /* In the order of the names, folders among files. */
    char *text = read_text(rows, NULL);
    const char *const order[] = {"deep/er/calcium", "deep/er/silicon", "deep/er/strontium", "deep/one",
                                 "all.cif#calcium", "all.cif#silicon", "both.extxyz#1",     "both.extxyz#2",
                                 "all.tar.gz:",     "all.zip:",        "/other.xyz"};
    const char *at = text;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        at = strstr(at, order[i]);
        if (!at)
            fail_msg("%s is missing, or stands too early", order[i]);
    }
    free(text);
    run(&r, folder, "ls $D/deep/er/*.cif | $KT scan " MODEL " - --out $D/piped.csv --quiet");
    assert_status(&r, 0);
    assert_string_equal(cell(in(folder, "piped.csv"), "silicon.cif", 3), silicon);
    outcome_destroy(&r);
}

/* Some hundred crystals take as long under a sanitizer as all without. */
enum { WATCHED = SANITIZED, TIMES = SANITIZED ? 3 : 50 };

/* A list of AFLOW's crystals in the reference data, `times` over. */
static void list_crystals(outcome *r, const char *folder, int times)
{
    run(r, folder, "for i in $(seq %d); do ls $T/data/aflow_agl/*.cif; done >$D/all.list", times);
    assert_status(r, 0);
}

static void any_number_of_threads_writes_the_same(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    list_crystals(&r, folder, TIMES);
    for (int threads = 1; threads <= 5; threads += 2) {
        run(&r, folder, "$KT scan " NETWORK " $D/all.list --out $D/%d.csv --threads %d --quiet", threads,
            threads);
        assert_status(&r, 3); /* six crystals without neighbours */
    }
    assert_same_files(folder, "1.csv", "3.csv");
    assert_same_files(folder, "1.csv", "5.csv");
    assert_same_files(folder, "1.rejects.csv", "5.rejects.csv");
    char *rows = read_text(in(folder, "1.csv"), NULL),
         *rejects = read_text(in(folder, "1.rejects.csv"), NULL);
    assert_int_equal(count_lines(rows), 1 + TIMES * (aflow_crystals() - AFLOW_EDGELESS));
    assert_int_equal(count_lines(rejects), 1 + TIMES * AFLOW_EDGELESS);
    assert_non_null(strstr(rejects, "Cs1_ICSD_42662.cif,,no two atoms are within"));
    free(rows);
    free(rejects);
    outcome_destroy(&r);
}

static void killed_and_resumed_it_writes_the_same(void **state)
{
    if (WATCHED)
        skip();
    static const char *const signals[] = {"KILL", "TERM", "KILL", "INT"};
    static const char sources[] = "$D/all.list $T/data/togo15 $D/all.list";
    const char *folder = *state;
    outcome r = {0};
    list_crystals(&r, folder, TIMES);
    run(&r, folder, "$KT scan " NETWORK " %s --out $D/whole.csv --quiet", sources);
    assert_status(&r, 3);
    int stopped = 0;
    for (int i = 0; i < 4; i++) {
        run(&r, folder,
            "timeout -s %s 0.%d $KT scan " NETWORK " %s --out $D/rows.csv --resume --quiet --threads %d",
            signals[i], 4 + 2 * i, sources, 1 + i % 2);
        stopped += r.status != 3;
    }
    assert_true(stopped >= 2); /* a quick machine may be through by then */
    run(&r, folder, "$KT scan " NETWORK " %s --out $D/rows.csv --resume", sources);
    assert_status(&r, 3);
    assert_same_files(folder, "whole.csv", "rows.csv");
    assert_same_files(folder, "whole.rejects.csv", "rows.rejects.csv");
    /* It is done: to resume once more changes nothing. */
    run(&r, folder, "$KT scan " NETWORK " %s --out $D/rows.csv --resume", sources);
    assert_status(&r, 3);
    assert_same_files(folder, "whole.csv", "rows.csv");
    outcome_destroy(&r);
}

/* A scan goes on with the model that it began with, by what the model holds: its place may change. */
static void another_model_is_noticed(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        /* without digests, by which the model itself would notice */
        "cp -r " MODEL " $D/model && sed -i s/weights_sha256/weights_former/ $D/model/metrics.json && "
        "$KT scan $D/model " EXAMPLES " --out $D/rows.csv --quiet && mv $D/model $D/moved && $KT scan "
        "$D/moved " EXAMPLES " --out $D/rows.csv --resume --quiet");
    assert_status(&r, 0);
    run(&r, folder, "rm $D/moved/calibration.csv; $KT scan $D/moved " EXAMPLES " --out $D/rows.csv --resume");
    assert_status(&r, 1);
    assert_complains(&r, "is of another scan");
    run(&r, folder,
        "cp " MODEL "/calibration.csv $D/moved && f=$D/moved/folds/2/best.safetensors && printf 1 | dd of=$f "
        "bs=1 seek=$(($(wc -c <$f) - 8)) conv=notrunc 2>/dev/null && $KT scan $D/moved " EXAMPLES
        " --out $D/rows.csv --resume");
    assert_status(&r, 1);
    assert_complains(&r, "is of another scan");
    outcome_destroy(&r);
}

/* Rows that no flush has said to be done are written again, whatever stands there. */
static void what_a_kill_left_half_is_cut_off(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        "$KT scan " MODEL " " EXAMPLES " --out $D/whole.csv --quiet && cp $D/whole.csv $D/rows.csv && "
        "cp $D/whole.rejects.csv $D/rows.rejects.csv && $KT scan " MODEL " " EXAMPLES
        " --out $D/other.csv --quiet");
    assert_status(&r, 0);
    /* The state after two of the three crystals, and half a row more than it tells of. */
    run(&r, folder,
        "$KT scan " MODEL " $(ls " EXAMPLES "/*.cif | head -n 2) --out $D/two.csv --quiet && two=$(grep "
        "crystals $D/two.csv.state) && bytes=$(head -n 3 $D/whole.csv | wc -c) && sed -e "
        "\"s/.*\\\"crystals\\\".*/$two/\" -e 's/\"done\": 3/\"done\": 2/' -e 's/\"written\": 3/\"written\": "
        "2/' -e \"s/\\\"rows_bytes\\\": [0-9]*/\\\"rows_bytes\\\": $bytes/\" -e 's/\"complete\": "
        "true/\"complete\": false/' $D/whole.csv.state >$D/rows.csv.state && printf 'half' >>$D/rows.csv && "
        "$KT scan " MODEL " " EXAMPLES " --out $D/rows.csv --resume");
    assert_status(&r, 0);
    assert_complains(&r, "3 crystals, 3 rows in");
    assert_same_files(folder, "whole.csv", "rows.csv");
    /* The crystals that are done must be the first ones still: others would be lost or be there twice. */
    run(&r, folder,
        "mkdir $D/c && cp " EXAMPLES "/*.cif $D/c && $KT scan " MODEL
        " $D/c --out $D/c.csv --quiet && sed -i 's/\"complete\": true/\"complete\": false/' $D/c.csv.state "
        "&& cp $D/c.csv $D/kept && mv $D/c/silicon.cif $D/c/a.cif; $KT scan " MODEL
        " $D/c --out $D/c.csv --resume; s=$?; cmp $D/c.csv $D/kept && exit $s");
    assert_status(&r, 1);
    assert_complains(&r, "the first 3 crystals are not those that the scan has done");
    run(&r, folder,
        "mv $D/c/a.cif $D/c/silicon.cif; $KT scan " MODEL " $D/c --out $D/c.csv --resume --quiet");
    assert_status(&r, 0);
    run(&r, folder, "sed -i /crystals/d $D/c.csv.state && $KT scan " MODEL " $D/c --out $D/c.csv --resume");
    assert_status(&r, 1);
    assert_complains(&r, "is of another scan: the version of kappatune is not");
    /* A kill before the first state, with no file, an empty one, a part of the header or all of it: there was nothing to lose. */
    static const char *const bare[] = {":", ": >$D/bare.csv", "head -c 9 $D/whole.csv >$D/bare.csv",
                                       "head -n 1 $D/whole.csv >$D/bare.csv; : >$D/bare.rejects.csv"};
    for (int i = 0; i < 4; i++) {
        run(&r, folder,
            "rm -f $D/bare*; %s; $KT scan " MODEL " " EXAMPLES " --out $D/bare.csv --resume --quiet",
            bare[i]);
        assert_status(&r, 0);
        assert_same_files(folder, "whole.csv", "bare.csv");
    }
    /* Of anything else there is no telling. */
    run(&r, folder,
        "rm $D/bare*; head -n 2 $D/whole.csv >$D/bare.csv; $KT scan " MODEL " " EXAMPLES
        " --out $D/bare.csv --resume; s=$?; rm $D/bare.csv; echo note >$D/bare.csv; $KT scan " MODEL
        " " EXAMPLES " --out $D/bare.csv --resume; echo $s $?; cat $D/bare.csv");
    assert_says(&r, "1 1\nnote\n");
    assert_complains(&r, "there is no telling how far the scan is");
    outcome_destroy(&r);
}

/* A scan of a list that comes through the pipe 3 and ends with it; of as many crystals that its first rows are in the file. */
#define LIVING                                                                                               \
    "mkfifo $D/feed; $KT scan " MODEL " - --out $D/rows.csv --threads 1 --quiet <$D/feed & p=$!; "           \
    "exec 3>$D/feed; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do ls " EXAMPLES "/*.cif; done >$D/all; "    \
    "cat $D/all >&3; i=0; while [ $(cat $D/rows.csv 2>/dev/null | wc -l) -lt 9 ] && [ $((i += 1)) -lt 2000 " \
    "]; "                                                                                                    \
    "do sleep 0.01; done; "

static void one_scan_writes_a_table(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    char owner[64];
    /* Resumed or not, to the same table, by a link to it, or to the same rejects. */
    run(&r, folder,
        LIVING
        "ln -s rows.csv $D/link.csv; for o in '--resume' '' '--out '$D'/link.csv --resume' '--out '$D'/x.csv "
        "--rejects '$D'/rows.rejects.csv'; do $KT scan " MODEL " - --out $D/rows.csv $o </dev/null; [ $? = "
        "1 ] || echo refused not: \"$o\"; done; ls $D/x.csv* >&2; exec 3>&-; wait $p; echo ended with $?; "
        "echo process $p");
    assert_says(&r, "ended with 0\n");
    assert_null(strstr(r.out, "refused not"));
    assert_complains(&r, "/rows.csv: another run is writing here (host ");
    assert_complains(&r, "/link.csv: another run is writing here (host ");
    assert_complains(&r, "/rows.rejects.csv: another run is writing here (host ");
    snprintf(owner, sizeof owner, ", %.40s)", strstr(r.out, "process ") ? strstr(r.out, "process ") : "");
    owner[strcspn(owner, "\n")] = '\0';
    assert_complains(&r, owner);
    run(&r, folder, "$KT scan " MODEL " - --out $D/whole.csv --quiet <$D/all; ls $D");
    assert_status(&r, 0);
    assert_same_files(folder, "whole.csv", "rows.csv");
    assert_null(strstr(r.out, "lock"));
    /* What a crash leaves holds nobody up. */
    run(&r, folder,
        "echo host gone, process 1 >$D/y.csv.lock; $KT scan " MODEL " " EXAMPLES " --out $D/y.csv --quiet");
    assert_status(&r, 0);
    outcome_destroy(&r);
}

/* Where a lock doesn't hold, or another program cuts the table, the scan does not end well. */
static void a_table_that_others_change_is_not_called_done(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, LIVING ": >$D/rows.csv; exec 3>&-; wait $p; echo ended with $?");
    assert_says(&r, "ended with 1\n");
    assert_complains(&r, "rows.csv: was changed by another program while the scan wrote it");
    run(&r, folder, "grep '\"complete\": true' $D/rows.csv.state");
    assert_status(&r, 1);
    outcome_destroy(&r);
}

/* What a resumed scan finds is what it left, or is refused and stays as it is. */
static void what_was_changed_since_is_refused(void **state)
{
    static const struct {
        const char *change, *reason;
    } cases[] = {
        {"head -c 700 w.csv >r.csv", "r.csv: is not what the scan left there: it is shorter"},
        {"{ head -c 700 w.csv; head -c 20 /dev/zero; tail -c +721 w.csv; } >r.csv", "it has zero bytes"},
        {"sed 's/kappa_mean/kappa_MEAN/' w.csv >r.csv", "its first line is not the header"},
        {"tr '\\n' ' ' <w.csv | sed 's/ /\\n/' >r.csv; echo >>r.csv",
         "no row ends where the last one should"},
        {"{ head -n 1 w.csv; tail -n +2 w.csv | tr '\\n' ' '; } >r.csv; truncate -s $(($bytes - 1)) r.csv; "
         "echo >>r.csv",
         "it has another number of rows"},
        {"rm r.csv", "r.csv: is not what the scan left there: it is gone"},
        {"head -n 1 w.rejects.csv >r.rejects.csv",
         "r.rejects.csv: is not what the scan left there: it is shorter"},
    };
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        ": >$D/a.cif; $KT scan " MODEL " " EXAMPLES
        " $D/a.cif --out $D/w.csv --quiet; cp $D/w.csv.state $D/done; sed -e 's/\"complete\": "
        "true/\"complete\": false/' $D/done >$D/half");
    assert_status(&r, 0);
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        /* Of a scan that was stopped, and of one that is called complete. */
        run(&r, folder,
            "K=$(realpath $KT) P=$PWD; cd $D; bytes=$(wc -c <w.csv); cp w.csv r.csv; cp w.rejects.csv "
            "r.rejects.csv; cp %s r.csv.state; { %s; }; cp r.csv before.csv || :; cd $P; $K scan " MODEL
            " " EXAMPLES " $D/a.cif --out $D/r.csv --resume; s=$?; cmp $D/r.csv "
            "$D/before.csv || [ ! -e $D/r.csv ] || s=9; exit $s",
            i % 2 ? "done" : "half", cases[i / 2].change);
        if (r.status != 1 || !strstr(r.err, cases[i / 2].reason) || !strstr(r.err, "start anew"))
            fail_msg("%s: %d, %s", cases[i / 2].change, r.status, r.err);
    }
    /* The same steps without a change. */
    run(&r, folder,
        "cp $D/w.csv $D/r.csv; cp $D/w.rejects.csv $D/r.rejects.csv; cp $D/half $D/r.csv.state; $KT "
        "scan " MODEL " " EXAMPLES " $D/a.cif --out $D/r.csv --resume --quiet");
    assert_status(&r, 3);
    assert_same_files(folder, "w.csv", "r.csv");
    outcome_destroy(&r);
}

/* Of a thousand files one in twenty is broken, in ten ways: each is named, and the rows of the others are those that they have without
 * such company. */
static void one_in_twenty_is_broken(void **state)
{
    enum { GOOD = SANITIZED ? 190 : 950, WAYS = SANITIZED ? 10 : 50 };
    static const char *const ways[10] = {
        "head -c 150 $f",                                 /* cut short */
        "head -c 3000 /dev/urandom",                      /* noise */
        ":",                                              /* empty */
        "sed 's/_cell_length_a .*/_cell_length_a 0/' $f", /* flat cells, and endless ones */
        "sed 's/_cell_length_b .*/_cell_length_b 1e308/' $f",
        "sed 's/_cell_angle_alpha .*/_cell_angle_alpha 180/' $f",
        "sed 's/_cell_length_c .*/_cell_length_c ?/' $f",
        "cat $f; printf ';\\nnever closed\\n'", /* text that goes on */
        "tr 'O-Zo-z' 'X' <$f",                  /* elements and tags that are none */
        "cat $f | tr '\\n' '\\0'",              /* zero bytes */
    };
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        "mkdir $D/good $D/all && cd $T/data/togo15 && for i in $(seq %d); do for f in *.cif; do ln -s "
        "$PWD/$f $D/good/$i-$f; done; done && cp -P $D/good/* $D/all",
        GOOD / TOGO15_CRYSTALS);
    assert_status(&r, 0);
    for (int i = 0; i < WAYS; i++) {
        run(&r, folder,
            "f=$T/data/aflow_agl/Ag1Cl1_ICSD_56542.cif; ls $f >/dev/null && { %s; } >$D/all/M%02d.cif",
            ways[i % 10], i);
        assert_status(&r, 0);
    }
    run(&r, folder,
        "$KT scan " NETWORK " $D/good --out $D/good.csv --quiet; $KT scan " NETWORK
        " $D/all --out $D/all.csv --quiet");
    assert_status(&r, 3);
    run(&r, folder, "cut -d, -f1 $D/all.rejects.csv | grep -c 'all/M[0-9][0-9].cif$'");
    assert_int_equal(atoi(r.out), WAYS);
    run(&r, folder,
        "for n in good all; do sed \"s#^.*/$n/##\" $D/$n.csv >$D/$n.rows; done; cmp $D/good.rows "
        "$D/all.rows && wc -l <$D/good.rows");
    assert_status(&r, 0);
    assert_int_equal(atoi(r.out), 1 + GOOD);
    outcome_destroy(&r);
}

/* Of an archive too: what can't be used is named, what stands behind it is read. */
static void what_is_broken_in_an_archive_is_named(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        "mkdir $D/in && cd $D/in && cp $OLDPWD/" EXAMPLES
        "/silicon.cif a.cif && : >b.cif && ln -s a.cif c.cif && ln a.cif d.cif && mkdir e.cif && cp a.cif "
        "e.cif/f.cif && cp a.cif z.cif && tar -cf ../all.tar --sort=name . && cat a.cif a.cif >g.cif && rm "
        "c.cif && python3 - <<'END'\n"
        "import zipfile\n"
        "with zipfile.ZipFile('../all.zip', 'w') as made:\n"
        "    for name in ('a.cif', 'g.cif', 'z.cif'): made.write(name)\n"
        "data = bytearray(open('../all.zip', 'rb').read())\n"
        "data[data.index(b'g.cif') + 60] ^= 255\n"
        "open('../all.zip', 'wb').write(data)\n"
        "END\n"
        ":");
    assert_status(&r, 0);
    run(&r, folder, "$KT scan " MODEL " $D/all.tar $D/all.zip --out $D/rows.csv --quiet");
    assert_status(&r, 3);
    char *rejects = read_text(in(folder, "rows.rejects.csv"), NULL);
    static const char *const reasons[] = {"b.cif,,is empty",
                                          "c.cif,,\"is a link to a.cif, which is not followed\"",
                                          "which is not followed", "all.zip:g.cif,,is damaged: "};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (!strstr(rejects, reasons[i]))
            fail_msg("%s is missing in\n%s", reasons[i], rejects);
    assert_int_equal(count_lines(rejects), 5);
    free(rejects);
    char *rows = read_text(in(folder, "rows.csv"), NULL);
    static const char *const read[] = {"a.cif,Si", "e.cif/f.cif,Si", "z.cif,Si", "all.zip:a.cif,Si",
                                       "all.zip:z.cif,Si"};
    for (size_t i = 0; i < sizeof read / sizeof read[0]; i++)
        if (!strstr(rows, read[i]))
            fail_msg("%s is missing in\n%s", read[i], rows);
    assert_int_equal(count_lines(rows), 6);
    free(rows);
    outcome_destroy(&r);
}

/* Whatever the locale; and a name that can't be had is a reject, never silence. */
static void names_in_archives_are_read_in_any_locale(void **state)
{
    static const char umlaut[] = "gr\xc3\xbcn.cif,Si", broken[] = "b\xff.cif,Si";
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        "cp " EXAMPLES "/silicon.cif $D && cd $D && python3 - <<'END'\n"
        "import io, tarfile, zipfile\n"
        "data = open('silicon.cif', 'rb').read()\n"
        "with zipfile.ZipFile('u.zip', 'w') as made:\n"
        "    for name in ('a.cif', 'gr\\u00fcn.cif', 'x\\u6c34.cif', 'z.cif'): made.writestr(name, data)\n"
        "raw = open('u.zip', 'rb').read().replace(b'x\\xe6\\xb0', b'x\\xff\\xb0')\n"
        "open('u.zip', 'wb').write(raw)\n" /* its third name is no UTF-8 any more */
        "with zipfile.ZipFile('old.zip', 'w') as made: made.writestr('bX.cif', data)\n"
        "raw = open('old.zip', 'rb').read().replace(b'bX.cif', b'b\\xff.cif')\n"
        "open('old.zip', 'wb').write(raw)\n"
        "for kind in ('GNU', 'PAX'):\n"
        "    with tarfile.open(kind + '.tar', 'w', format=getattr(tarfile, kind + '_FORMAT'), "
        "encoding='utf-8') as made:\n"
        "        for name in ('gr\\u00fcn.cif', 'b\\udcff.cif'):\n"
        "            about = tarfile.TarInfo(name)\n"
        "            about.size = len(data)\n"
        "            made.addfile(about, io.BytesIO(data))\n"
        "END\n:");
    assert_status(&r, 0);
    run(&r, folder,
        "KT=$(realpath $KT); m=$PWD/" MODEL
        "; cd $D; for l in C C.UTF-8; do LC_ALL=$l $KT scan $m u.zip old.zip GNU.tar PAX.tar --out $l.csv "
        "--quiet; [ $? = 3 ] || exit 9; done");
    assert_status(&r, 0);
    assert_same_files(folder, "C.csv", "C.UTF-8.csv");
    assert_same_files(folder, "C.rejects.csv", "C.UTF-8.rejects.csv");
    char *rows = read_text(in(folder, "C.csv"), NULL),
         *rejects = read_text(in(folder, "C.rejects.csv"), NULL);
    static const char *const archives[] = {"u.zip:", "old.zip:", "GNU.tar:", "PAX.tar:"};
    for (int i = 0; i < 4; i++) {
        char whole[64];
        snprintf(whole, sizeof whole, "%s%s", archives[i], i == 1 ? broken : umlaut);
        if (!strstr(rows, whole))
            fail_msg("%s is missing in\n%s", whole, rows);
    }
    assert_int_equal(count_lines(rows), 1 + 3 + 1 + 2 + 2);
    assert_int_equal(count_lines(rejects), 2);
    assert_non_null(strstr(rejects, "u.zip:entry 3,,its name cannot be read: it is not the UTF-8 that"));
    free(rows);
    free(rejects);
    /* Where the system has no such locale at all; glibc leaks LOCPATH. */
    run(&r, folder,
        "ASAN_OPTIONS=detect_leaks=0 LOCPATH=$D $KT scan " MODEL " $D/u.zip --out $D/none.csv --quiet");
    assert_status(&r, 3);
    run(&r, folder, "wc -l <$D/none.csv; cat $D/none.csv $D/none.rejects.csv");
    if (!strstr(r.out, umlaut)) { /* a C library that needs no files for it */
        assert_int_equal(atoi(r.out), 3);
        assert_says(&r, "u.zip:entry 2,,its name cannot be read: this system has no locale C.UTF-8");
        assert_says(&r, "u.zip:entry 3,,its name cannot be read");
    }
    outcome_destroy(&r);
}

static void what_is_broken_is_named(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        "mkdir $D/c && for i in 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29; do for f in "
        "silicon calcium_fluoride strontium_titanate; do cp " EXAMPLES
        "/$f.cif $D/c/$i-$f.cif; done; done && head "
        "-c 5000 /dev/urandom >$D/c/15-noise.cif && : >$D/c/16-empty.cif && printf '3\\nno lattice\\nSi 0 0 "
        "0\\n' >$D/c/17-short.xyz && mkfifo $D/c/18-pipe.cif && printf 'data_a\\n;\\nnever closed\\n' "
        ">$D/c/19-open.cif && printf 'data_x\\n_cell_length_a "
        "1\\nloop_\\n_atom_site_label\\n_atom_site_fract_x\\nXx 0\\n' >$D/c/20-cell.cif && ln -s .. "
        "$D/c/loop && head -c 300 $D/c/15-noise.cif >$D/bad.zip && printf 'x y z\\n' >$D/c/21-frames.extxyz");
    assert_status(&r, 0);
    run(&r, folder,
        "timeout 60 $KT scan " MODEL " $D/c $D/bad.zip $D/missing.cif $D/notes.md --out $D/rows.csv --quiet");
    assert_status(&r, 3);
    static const char *const named[] = {"15-noise.cif", "16-empty.cif", "17-short.xyz",     "18-pipe.cif",
                                        "19-open.cif",  "20-cell.cif",  "21-frames.extxyz", "bad.zip",
                                        "missing.cif",  "notes.md"};
    char *rejects = read_text(in(folder, "rows.rejects.csv"), NULL);
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
        if (!strstr(rejects, named[i]))
            fail_msg("%s is not among the rejects:\n%s", named[i], rejects);
    assert_non_null(strstr(rejects, "is no regular file"));
    free(rejects);
    const char *rows = in(folder, "rows.csv");
    for (int i = 10; i < 30; i++) {
        char id[64];
        snprintf(id, sizeof id, "c/%d-silicon.cif", i);
        assert_string_equal(cell(rows, id, 1), "Si");
    }
    outcome_destroy(&r);
}

static void lines_of_a_block_are_those_of_the_file(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        "(cat " EXAMPLES "/silicon.cif; sed 's/^F1 F 0.25/F1 F nonsense/' " EXAMPLES
        "/calcium_fluoride.cif) >$D/two.cif && grep -n nonsense $D/two.cif | cut -d: -f1 >$D/line");
    assert_status(&r, 0);
    run(&r, folder, "$KT scan " MODEL " $D/two.cif --out $D/rows.csv --quiet");
    assert_status(&r, 3);
    char *line = read_text(in(folder, "line"), NULL), expected[64];
    snprintf(expected, sizeof expected, "%d", (int)strtol(line, NULL, 10));
    assert_string_equal(cell(in(folder, "rows.rejects.csv"), "two.cif#calcium_fluoride", 1), expected);
    free(line);
    outcome_destroy(&r);
}

static void rows_can_be_chosen_and_shown(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        "$KT scan " MODEL " " EXAMPLES " --out $D/rows.csv --below 20 --top 1 --lowest 5 --quiet");
    assert_status(&r, 0);
    assert_string_equal(cell(in(folder, "rows.csv"), "silicon.cif", 1), "");
    assert_string_equal(cell(in(folder, "rows.csv"), "calcium_fluoride.cif", 1), "CaF2");
    const char *max = strstr(r.out, "greatest:"), *min = strstr(r.out, "least:");
    assert_non_null(max);
    assert_non_null(min);
    assert_true(max < min);
    assert_int_equal(count_lines(min), 2 + 2); /* both rows, of five that were asked for */
    outcome_destroy(&r);
}

static void wrong_use_is_explained(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "$KT scan " MODEL " " EXAMPLES " --out $D/rows.csv --quiet");
    assert_status(&r, 0);
    run(&r, folder, "$KT scan " MODEL " " EXAMPLES " --out $D/rows.csv");
    assert_status(&r, 1);
    assert_complains(&r, "is there already; --resume goes on");
    run(&r, folder, "$KT scan " NETWORK " " EXAMPLES " --out $D/rows.csv --resume");
    assert_status(&r, 1);
    assert_complains(&r, "is of another scan: the model is not what it began with");
    run(&r, folder, "$KT scan " MODEL " " EXAMPLES " --features --out $D/rows.csv --resume");
    assert_status(&r, 1);
    assert_complains(&r, "is of another scan: --features is not");
    run(&r, folder, "rm $D/rows.csv.state && $KT scan " MODEL " " EXAMPLES " --out $D/rows.csv --resume");
    assert_status(&r, 1);
    assert_complains(&r, "there is no telling how far");
    run(&r, folder, "$KT scan " MODEL " " EXAMPLES " --out $D/no/rows.csv");
    assert_status(&r, 1);
    assert_complains(&r, "no/rows.csv.lock: cannot be opened: No such file");
    run(&r, folder, "$KT scan " MODEL " " EXAMPLES " --out /dev/full --rejects $D/x.csv");
    assert_status(&r, 1);
    run(&r, folder, "$KT scan " MODEL " " EXAMPLES " --out $D/z.csv --rejects $D/z.csv");
    assert_status(&r, 1);
    assert_complains(&r, "cannot hold both the rows and the rejects");
    run(&r, folder,
        "name=$(printf 'b\\377.cif') && cp " EXAMPLES "/silicon.cif \"$D/$name\" && $KT scan " MODEL
        " \"$D/$name\" --out $D/bytes.csv --quiet && $KT scan " MODEL
        " \"$D/$name\" --out $D/bytes.csv --resume --quiet");
    assert_status(&r, 0);
    run(&r, folder, "$KT scan " MODEL);
    assert_status(&r, 2);
    assert_complains(&r, "name what to scan after the model");
    run(&r, folder, "$KT scan " MODEL " $D/none --out $D/y.csv");
    assert_status(&r, 1);
    assert_complains(&r, "none: there is no such file or folder");
    run(&r, folder, "ls $D/y.*");
    assert_int_not_equal(r.status, 0);
    run(&r, folder, "$KT scan nowhere " EXAMPLES " --out $D/y.csv");
    assert_status(&r, 1);
    outcome_destroy(&r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_are_those_of_predict),
        TEST(every_source_gives_the_same_rows),
        TEST(any_number_of_threads_writes_the_same),
        TEST(killed_and_resumed_it_writes_the_same),
        TEST(what_a_kill_left_half_is_cut_off),
        TEST(one_scan_writes_a_table),
        TEST(a_table_that_others_change_is_not_called_done),
        TEST(what_was_changed_since_is_refused),
        TEST(another_model_is_noticed),
        TEST(what_is_broken_is_named),
        TEST(what_is_broken_in_an_archive_is_named),
        TEST(names_in_archives_are_read_in_any_locale),
        TEST(one_in_twenty_is_broken),
        TEST(lines_of_a_block_are_those_of_the_file),
        TEST(rows_can_be_chosen_and_shown),
        TEST(wrong_use_is_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
