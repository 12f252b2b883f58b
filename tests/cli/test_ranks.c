/* Several ranks, started by Open MPI's mpirun: the same files as one process, also after a rank was killed at a random moment and for any
 * number of ranks that go on; one job a run folder. Skipped where there is no mpirun of Open MPI, or the build has no MPI.
 *
 *     test_cli_ranks [KILLS [SEED]]      from the project's root; 2 kills by default, of training and of a scan each
 */
#include <stdbool.h>

#include "cli/program.h"

#include <unistd.h>

#include "base/random.h"

/* More ranks than processors, as root or not; no report of what Open MPI itself leaves allocated. */
#define RANKS                                                                                                \
    "export ASAN_OPTIONS=detect_leaks=0; M='mpirun --allow-run-as-root --oversubscribe --bind-to none -n'; "
/* Everything but times and process numbers. */
#define SAME "diff -r -x lock -x 'log*.jsonl' "
#define TOGO "--data datasets/togo15.csv "

static int kills_wanted = 2;
static uint64_t seed = 2024;

static bool have_mpirun(void)
{
#ifdef KAPPATUNE_WITH_MPI
    return system("mpirun --version 2>/dev/null | grep -q 'Open MPI'") == 0;
#else
    return false;
#endif
}

static void skip_without_mpirun(void)
{
    if (have_mpirun())
        return;
    print_message("no mpirun of Open MPI, or a build without MPI: skipped\n");
    skip();
}

static void ranks_train_the_same_bits(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    skip_without_mpirun();
    run(&r, folder, "$KT train " TOGO "--folds 4 --epochs 3 --out $D/one >$D/one.txt");
    assert_status(&r, 0);
    /* More ranks than folds, too. */
    for (int ranks = 2; ranks <= 6; ranks += 2) {
        run(&r, folder,
            RANKS "$M %d $KT train " TOGO "--folds 4 --epochs 3 --out $D/r%d >$D/r.txt && " SAME
                  "$D/one $D/r%d && sed s,one,r%d, $D/one.txt | diff - $D/r.txt",
            ranks, ranks, ranks, ranks);
        assert_status(&r, 0);
        assert_complains(&r, ranks == 2 ? "folds 2, 4" : ranks == 4 ? "): fold 4" : "): no fold");
    }
    /* A network and a process, and replicas. */
    run(&r, folder,
        RANKS "O='" TOGO "--folds 3 --epochs 2 --head average --replicas 2 --quiet'; $KT train $O --out $D/p "
              "&& $M 2 $KT train $O --out $D/q && " SAME "$D/p $D/q");
    assert_status(&r, 0);
    assert_string_equal(r.err, "");
    outcome_destroy(&r);
}

static void ranks_train_stages(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    skip_without_mpirun();
    write_text(folder, "recipe.json",
               "{\"folds\": 3, \"epochs\": 2, \"data\": \"datasets/togo15.csv\", \"stages\": [{\"name\": "
               "\"base\"},{\"name\": \"fine\", \"from\": {\"stage\": \"base\"}},{\"name\": \"gp\", \"head\": "
               "\"gp\", \"epochs\": 0}]}");
    run(&r, folder, "$KT train $D/recipe.json --out $D/one --quiet");
    assert_status(&r, 0);
    run(&r, folder, RANKS "$M 2 $KT train $D/recipe.json --out $D/two --quiet && " SAME "$D/one $D/two");
    assert_status(&r, 0);
    /* Finished stages are not trained again; rank 0 decides for all. */
    run(&r, folder,
        RANKS
        "rm -r $D/two/stages/fine && $M 2 $KT train $D/recipe.json --out $D/two --quiet --resume && " SAME
        "$D/one $D/two");
    assert_status(&r, 0);
    assert_says(&r, "stage 1 of 3, base (had finished before)");
    /* The points of a sweep, one after another. */
    write_text(folder, "sweep.json",
               "{\"folds\": 2, \"epochs\": 1, \"data\": \"datasets/togo15.csv\", \"seed\": [1, 2]}");
    run(&r, folder,
        RANKS "O=\"$D/sweep.json --quiet --out\"; $KT train $O $D/s1 >$D/s.txt && $M 2 $KT train $O $D/s2 "
              "&& " SAME "$D/s1 $D/s2");
    assert_status(&r, 0);
    assert_says(&r, "point 2 of 2");
    assert_null(strstr(strstr(r.out, "point 2 of 2") + 1, "point 2 of 2"));
    outcome_destroy(&r);
}

/* Kills rank `victim` so many seconds after training began, with mpirun's exit status. */
static void run_and_kill(outcome *r, const char *folder, int ranks, int victim, double delay,
                         const char *arguments)
{
    run(r, folder,
        RANKS "$M %d $KT train %s --out $D/run >$D/said 2>&1 & m=$!; p=; "
              "while [ -z \"$p\" ] && kill -0 $m 2>/dev/null; do sleep 0.01; "
              "p=$(sed -n 's/^rank %d (host .*, process \\([0-9]*\\)).*/\\1/p' $D/said); done; "
              "sleep %.3f; kill -9 $p 2>/dev/null; wait $m; s=$?; cat $D/said >&2; exit $s",
        ranks, arguments, victim, delay);
}

static void a_rank_may_die(void **state)
{
#define RUN TOGO "--folds 4 --epochs 40 --checkpoint-every 0.1"
    const char *folder = *state;
    outcome r = {0};
    int kills = 0;
    kti_random random = kti_random_stream(seed, 101, 0, 0);
    skip_without_mpirun();
    run(&r, folder,
        "date +%%s.%%N; $KT train " RUN " --threads 1 --out $D/one --quiet >$D/text; date +%%s.%%N");
    assert_status(&r, 0);
    char *end;
    const double started = strtod(r.out, &end), seconds = strtod(end, NULL) - started;
    for (int i = 0; i < 4 * kills_wanted && kills < kills_wanted; i++) {
        const int ranks = 2 + i % 2, victim = i % ranks;
        char text[64];
        run_and_kill(&r, folder, ranks, victim, 0.6 * seconds * kti_random_uniform(&random), RUN);
        /* Not where all was done and the rank was about to leave. */
        if (r.status != 0 && access(in(folder, "run/metrics.json"), F_OK) != 0) {
            kills++;
            assert_status(&r, 128 + 9);
            snprintf(text, sizeof text, ") has died; it had fold%s %d", ranks == 3 && victim > 0 ? "" : "s",
                     victim + 1);
            assert_complains(&r, text);
        }
        /* One process, two or three go on. */
        run(&r, folder, RANKS "%s$KT train " RUN " --out $D/run --quiet --resume && " SAME "$D/one $D/run",
            i % 3 == 0   ? ""
            : i % 3 == 1 ? "$M 2 "
                         : "$M 3 ");
        assert_status(&r, 0);
        run(&r, folder, "rm -r $D/run");
    }
    assert_in_range(kills, 1, kills_wanted);
    print_message("%d ranks killed\n", kills);
    outcome_destroy(&r);
}

static void one_job_has_the_run_folder(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    skip_without_mpirun();
    /* USR1 reaches all ranks by mpirun, which then end in order. */
    run(&r, folder,
        RANKS "$M 2 $KT train " TOGO "--folds 2 --epochs 100000 --out $D/run >$D/said 2>&1 & m=$!; until "
              "grep -q 'rank 1' $D/said; do sleep 0.02; done; $KT train " TOGO
              "--folds 2 --epochs 100000 --out $D/run --resume; echo $?; $M 2 $KT train " TOGO
              "--folds 2 --epochs 100000 --out $D/run --resume; sleep 0.3; kill "
              "-USR1 $m; wait $m; echo $?; cat $D/said");
    assert_says(&r, "1\n");
    assert_complains(&r, "/run: another run is writing here (host ");
    assert_complains(&r, ", process ");
    assert_says(&r, "kappatune: stopped on request; go on with --resume");
    assert_null(strstr(r.out, "has died"));
    /* Every rank's last epoch is kept. */
    run(&r, folder, "ls $D/run/folds/1/last.safetensors $D/run/folds/2/last.safetensors $D/run/epochs.csv");
    assert_status(&r, 0);
    outcome_destroy(&r);
}

/* As before a wall-time: status 4, which a job's script takes for "back into the queue", whichever rank the signal reaches, and the
 * bytes of an undisturbed run in the end. */
static void stopped_ranks_go_on(void **state)
{
#define CUT TOGO "--folds 3 --epochs 400 "
    const char *folder = *state;
    outcome r = {0};
    skip_without_mpirun();
    run(&r, folder, "$KT train " CUT "--out $D/one --quiet");
    assert_status(&r, 0);
    /* To mpirun, which passes it on to all; to the second rank alone. */
    static const char *const kills[] = {
        "kill -USR1 $m", "kill -TERM $(sed -n 's/^rank 1 (host .*, process \\([0-9]*\\)).*/\\1/p' $D/said)"};
    for (size_t i = 0; i < sizeof kills / sizeof kills[0]; i++) {
        run(&r, folder,
            RANKS
            "rm -f $D/said; $M 2 $KT train " CUT "--out $D/run >$D/said 2>&1 & m=$!; "
            "until grep -qs '^rank 1' $D/said; do sleep 0.02; done; sleep 0.2; %s; wait $m; s=$?; cat $D/said >&2; exit $s",
            kills[i]);
        assert_complains(&r, "kappatune: stopped on request; go on with --resume");
        assert_status(&r, 4);
        run(&r, folder,
            RANKS "[ ! -e $D/run/metrics.json ] && $M 2 $KT train " CUT
                  "--out $D/run --resume --quiet && " SAME "$D/one $D/run && rm -r $D/run");
        assert_status(&r, 0);
    }
    outcome_destroy(&r);
}

/* A file of many crystals, some of which are broken. */
static void write_crystals(const char *folder, int count)
{
    FILE *out = fopen(in(folder, "many.xyz"), "w");
    assert_non_null(out);
    for (int i = 0; i < count; i++) {
        const double a = 2.6 + 0.0005 * i;
        fprintf(out,
                "2\nLattice=\"0 %.4f %.4f %.4f 0 %.4f %.4f %.4f 0\" Properties=species:S:1:pos:R:3\n"
                "%s 0 0 0\nSi %.5f %.5f %.5f\n",
                a, a, a, a, a, a, i % 50 == 49 ? "Xx" : "Si", a / 2, a / 2, a / 2);
    }
    assert_int_equal(fclose(out), 0);
}

static void ranks_scan_the_same_rows(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    kti_random random = kti_random_stream(seed, 102, 0, 0);
    skip_without_mpirun();
    write_crystals(folder, 500);
#define SCAN "scan models/togo15 $D/many.xyz datasets/examples --quiet"
#define SAME_ROWS                                                                                            \
    "for f in csv rejects.csv; do cmp $D/one.$f $D/run.$f || exit 9; done; diff $D/one.csv.state "           \
    "$D/run.csv.state"
    run(&r, folder, "$KT " SCAN " --out $D/one.csv");
    assert_status(&r, 3);
    for (int ranks = 2; ranks <= 4; ranks += 2) {
        run(&r, folder,
            RANKS "$M %d $KT " SCAN
                  " --out $D/run.csv 2>$D/err; [ $? = 3 ] || { cat $D/err >&2; exit 8; }; " SAME_ROWS,
            ranks);
        assert_status(&r, 0);
        run(&r, folder, "rm $D/run.*");
    }
    for (int i = 0; i < kills_wanted; i++) {
        run(&r, folder,
            RANKS
            "$M 3 $KT " SCAN " --threads 1 --out $D/run.csv 2>/dev/null & m=$!; sleep %.3f; set -- x x x "
            "$(cat /proc/$m/task/$m/children); shift %d; kill -9 $3 2>/dev/null; wait $m; $M %d $KT " SCAN
            " --out $D/run.csv --resume 2>$D/err; [ $? = 3 ] || { cat $D/err >&2; exit 8; }; " SAME_ROWS,
            0.3 + 0.4 * kti_random_uniform(&random), i % 3 + 1, i % 3 + 1);
        assert_status(&r, 0);
        run(&r, folder, "rm $D/run.*");
    }
    run(&r, folder, RANKS "echo $D/many.xyz | $M 2 $KT scan models/togo15 - --out $D/run.csv");
    assert_status(&r, 1);
    assert_complains(&r, "standard input reaches one rank alone");
    outcome_destroy(&r);
}

/* Each rank in a folder of its own, $D/0, $D/1, ..., with the same arguments; by a launcher that leaves the others alone when one fails, as
 * srun does. */
#define APART(ranks, arguments)                                                                              \
    "KT=$(realpath $KT) M=$PWD/models/togo15; export KT M D ASAN_OPTIONS=detect_leaks=0; timeout 50 mpirun " \
    "--allow-run-as-root --mca orte_abort_on_non_zero_status 0 --oversubscribe --bind-to none -n " ranks     \
    " sh -c 'cd $D/$OMPI_COMM_WORLD_RANK && ${K:-$KT} " arguments "; echo ended with $?'"

/* All of so many ranks have failed, of themselves or, which makes mpirun say 1, ended by it; timeout would say 124. */
static void assert_all_ended(const outcome *r, int ranks)
{
    const bool ended = r->status == 1 || (r->status == 0 && count_lines(r->out) == ranks);
    if (!ended || strstr(r->out, "ended with 0") || strstr(r->out, "ended with 3"))
        fail_msg("not all of %d ranks have failed: %d\n%s%s", ranks, r->status, r->out, r->err);
    assert_null(strstr(r->err, "has died"));
}

/* A file more or less, or another list, is found before anything is written. */
static void ranks_must_see_the_same_files(void **state)
{
    static const char *const changes[][2] = {
        {"rm $D/1/c/050.xyz", "; rank 0 alone sees c/050.xyz (127 bytes)"},
        {"cp $D/1/c/001.xyz $D/1/c/0015.xyz", "; this rank alone sees c/0015.xyz (127 bytes)"},
        {"echo >>$D/1/c/099.xyz", "; rank 0 alone sees c/099.xyz (127 bytes)"},
        {"sed -i s/4/5/ $D/1/c.list", " alone sees c.list (100 bytes, content "},
        {"rm -r $D/1/c", "rank 1: sees other files than rank 0: 2 with 0 bytes instead of 101 with 12700"},
    };
    const char *folder = *state;
    outcome r = {0};
    skip_without_mpirun();
    write_crystals(folder, 100);
    run(&r, folder,
        "mkdir -p $D/0/c && cd $D/0/c && split -d -a 3 -l 4 --additional-suffix=.xyz $D/many.xyz ''  && "
        "cd .. && for i in 0 1 2 3 4 5 6 7 8 9; do echo c/04$i.xyz; done >c.list");
    assert_status(&r, 0);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        run(&r, folder,
            "rm -rf $D/1 $D/run*; cp -r $D/0 $D/1 && %s && " APART(
                "2", "scan $M c c.list --quiet --out $D/run.csv"),
            changes[i][0]);
        assert_all_ended(&r, 2);
        assert_complains(&r, "kappatune: rank 1: sees other files than rank 0: ");
        assert_complains(&r, changes[i][1]);
        run(&r, folder, "ls $D/run*");
        assert_string_equal(r.out, "");
    }
    outcome_destroy(&r);
}

/* What no listing shows, a file of other crystals behind a list, ends the scan when it is met. */
static void ranks_must_find_the_same_crystals(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    skip_without_mpirun();
    write_crystals(folder, 401);
    for (int i = 0; i < 3; i++) {
        /* Rank 0, 1 or 2 has a crystal more, in front or at the end. */
        run(&r, folder,
            "rm -rf $D/[012] $D/run*; for i in 0 1 2; do mkdir $D/$i && head -n 1600 $D/many.xyz "
            ">$D/$i/b.xyz && head -n 8 $D/many.xyz >$D/$i/a.xyz && printf 'a.xyz\n"
            "b.xyz\n"
            "' >$D/$i/c.list; done; cp $D/many.xyz $D/%d/%c.xyz",
            i, i == 1 ? 'a' : 'b');
        assert_status(&r, 0);
        run(&r, folder, APART("3", "scan $M c.list --quiet --out $D/run.csv"));
        assert_all_ended(&r, 3);
        assert_complains(&r, "finds other crystals than the ranks before it, ");
        assert_complains(&r, "all must see the same files with the same content");
        run(&r, folder, "grep '\"complete\": true' $D/run.csv.state");
        assert_status(&r, 1);
    }
    outcome_destroy(&r);
}

/* What one rank alone cannot read ends all, with its reason, and nothing is begun. */
static void a_rank_that_cannot_begin_ends_all(void **state)
{
#define OF_RANK "train r.json --quiet --out $D/run"
    static const char *const cases[][3] = {
        {"rm $D/1/r.json", OF_RANK, "kappatune: r.json: rank 1: cannot be opened: No such file"},
        {"echo {} >$D/1/r.json", OF_RANK, "rank 1: ends with exit status 2 before the work begins"},
        {"echo {} >$D/0/r.json", OF_RANK, "train: the recipe r.json names no data"},
        {"sed -i s/:.2/:3/ $D/1/r.json", OF_RANK,
         "kappatune: rank 1: reads another recipe there than rank 0"},
        {"rm $D/1/own.csv", OF_RANK, "own.csv: rank 1: there is no such file"},
        {"sed -i 40d $D/1/own.csv", OF_RANK, "kappatune: rank 1: reads other data there than rank 0"},
        {"for i in 0 1 2; do cp models/aflow-agl/folds/$((i == 1 ? 2 : 1))/best.safetensors $D/$i/w; done",
         OF_RANK " --from w", "kappatune: rank 1: finds other start weights there than rank 0"},
        {"rm $D/2/m", "scan m $D/many.xyz --quiet --out $D/run",
         "kappatune: m: rank 2: there is no such model or weights; known by name: "},
        {"ln -sfn $M-hh143 $D/1/m", "scan m $D/many.xyz --quiet --out $D/run",
         "kappatune: rank 1: finds another model there than rank 0"},
        /* A build without MPI, too, which can tell the others nothing. */
        {"rm $D/1/kt; cp $KT $D/1/kt", OF_RANK,
         "several processes were launched to share the work, but MPI cannot be loaded"},
        {"rm $D/1/kt; echo 'sleep 8; exit 1' >$D/1/kt; chmod +x $D/1/kt", OF_RANK,
         "other ranks have not joined this one within KAPPATUNE_JOIN_SECONDS"},
    };
    const char *folder = *state;
    outcome r = {0};
    skip_without_mpirun();
    write_crystals(folder, 10);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run(&r, folder,
            "export KAPPATUNE_JOIN_SECONDS=3 KT=$(realpath $KT) M=$PWD/models/togo15 D; rm -rf $D/[012]; for "
            "i in 0 1 2; do mkdir $D/$i; echo '{\"data\": \"own.csv\", \"folds\": 2, \"epochs\": 1}' "
            ">$D/$i/r.json; cp datasets/togo15.csv $D/$i/own.csv; ln -s $M $D/$i/m; ln -s $KT $D/$i/kt; "
            "done; { %s; }; chmod +x $D/1/kt; export K=./kt; " APART("3", "%s"),
            cases[i][0], cases[i][1]);
        assert_all_ended(&r, 3);
        assert_complains(&r, cases[i][2]);
        run(&r, folder, "ls $D/run*");
        assert_string_equal(r.out, "");
    }
    outcome_destroy(&r);
}

static void what_cannot_be_shared_is_refused(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, "SLURM_STEP_NUM_TASKS=3 $KT train " TOGO "--folds 1 --epochs 1 --out $D/run");
    assert_status(&r, 1);
    if (!have_mpirun() && strstr(r.err, "no MPI"))
        return outcome_destroy(&r);
    assert_complains(&r, "3 processes were launched, but MPI sees 1");
    skip_without_mpirun();
    run(&r, folder,
        RANKS "$M 2 sh -c 'exec \"$0\" train " TOGO
              "--folds 1 --epochs 1 --out \"$1$OMPI_COMM_WORLD_RANK\"' $KT $D/run");
    assert_status(&r, 1);
    assert_complains(&r, "rank 1: was started with other arguments than rank 0");
    run(&r, folder, RANKS "$M 2 $KT train " TOGO "--device cuda --gpus 2 --out $D/run");
    assert_status(&r, 1);
    assert_complains(&r, "each rank has one GPU");
    run(&r, folder, "ls $D");
    assert_string_equal(r.out, "");
    outcome_destroy(&r);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        kills_wanted = atoi(argv[1]);
    if (argc > 2)
        seed = strtoull(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ranks_train_the_same_bits, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(ranks_train_stages, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_rank_may_die, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(one_job_has_the_run_folder, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(stopped_ranks_go_on, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(ranks_scan_the_same_rows, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(ranks_must_see_the_same_files, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(ranks_must_find_the_same_crystals, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_rank_that_cannot_begin_ends_all, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_shared_is_refused, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
