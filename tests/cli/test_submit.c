/* kappatune submit, status and collect, with a stand-in for sbatch and scontrol; tests/cli/test_slurm.sh has a Slurm. */
#include "cli/program.h"

#include <sys/stat.h>

/* Where the program is asked from, so that the cluster file and relative paths are the test's own. */
#define HERE "cd $D && PATH=$D/bin:$PATH HOME=$D XDG_CONFIG_HOME= && "

static int exists(const char *folder, const char *name)
{
    struct stat about;
    return stat(in(folder, name), &about) == 0;
}

static int setup(void **state)
{
    outcome r = {0};
    if (folder_setup(state) != 0)
        return -1;
    const char *folder = *state;
    /* sbatch counts its calls, and keeps its arguments, one a line. */
    run(&r, folder,
        "mkdir $D/bin && cp datasets/togo15.csv $D/set.csv && cd $D/bin && printf '%%s\\n' '#!/bin/sh' "
        "'printf \"%%s\\n\" \"$@\" >>%s/sbatch.log' 'echo called >>%s/calls' 'test ! -e %s/broken || exit 1' "
        "'echo $(($(wc -l <%s/calls) + 40))' >sbatch && printf '%%s\\n' '#!/bin/sh' 'echo \"$@\" "
        ">>%s/scontrol.log' >scontrol && chmod +x sbatch scontrol",
        folder, folder, folder, folder, folder);
    assert_status(&r, 0);
    write_text(folder, "small.json", "{\"data\": \"set.csv\", \"folds\": 2, \"epochs\": 2}");
    write_text(folder, "staged.json",
               "{\"data\": \"set.csv\", \"folds\": 2, \"epochs\": 2, \"stages\": [{\"name\": \"a\"}, "
               "{\"name\": \"b\", \"from\": {\"stage\": \"a\"}}]}");
    write_text(folder, "sweep.json",
               "{\"data\": \"set.csv\", \"folds\": 2, \"epochs\": 2, \"seed\": [1, 2, 3]}");
    outcome_destroy(&r);
    return 0;
}

static void assert_file_has(const char *folder, const char *name, const char *text)
{
    char *content = read_text(in(folder, name), NULL);
    if (!strstr(content, text))
        fail_msg("%s has no `%s`:\n%s", name, text, content);
    free(content);
}

static void assert_file_lacks(const char *folder, const char *name, const char *text)
{
    char *content = read_text(in(folder, name), NULL);
    if (strstr(content, text))
        fail_msg("%s has `%s`:\n%s", name, text, content);
    free(content);
}

static void a_dry_run_leaves_nothing(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder, HERE "$KT submit small.json --slurm --dry-run --after 7,8_1");
    assert_status(&r, 0);
    assert_says(&r, "#!/bin/bash\n#SBATCH --job-name=kappatune-small\n");
    assert_says(&r, "#SBATCH --signal=B:USR1@120\n");
    assert_says(&r, "train 'runs/small/submit/recipe.json' --resume --out 'runs/small'");
    assert_says(&r, "'--dependency=afterok:7:8_1' '--kill-on-invalid-dep=yes'");
    assert_null(strstr(r.out, "--array"));
    assert_null(strstr(r.out, "collect"));
    assert_false(exists(folder, "runs"));
    assert_false(exists(folder, "sbatch.log"));
    run(&r, folder, HERE "$KT submit small.json --slurm --dry-run --array --at-once 1");
    assert_status(&r, 0);
    assert_says(&r, "#SBATCH --array=1-2%1\n");
    assert_says(&r, "'--dependency=afterok:TRAIN'");
    /* Both scripts are sound to a shell. */
    run(&r, folder, HERE "$KT submit sweep.json --slurm --dry-run --array >s.sh && bash -n s.sh && cat s.sh");
    assert_status(&r, 0);
    assert_says(&r, "#SBATCH --array=1-3\n");
    assert_says(&r, "--out 'runs/sweep' --point \"$SLURM_ARRAY_TASK_ID\"");
    assert_null(strstr(r.out, "collect"));
    outcome_destroy(&r);
}

static void the_cluster_file_decides(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_text(
        folder, "cluster.json",
        "{\"account\": \"p-12\", \"partition\": \"gpu,any\", \"time\": \"1-02:00\", \"memory\": \"32G\", "
        "\"cpus\": 16, \"gpus\": 2, \"device\": \"cuda\", \"notice\": 300, \"restarts\": 5, \"modules\": "
        "[\"cuda/12\", \"it's\"], \"container\": \"/a b/k.sif\", \"sbatch\": [\"--qos=long\"]}");
    run(&r, folder, HERE "$KT submit small.json --slurm --dry-run --cluster cluster.json");
    assert_status(&r, 0);
    assert_complains(&r, "cluster file: cluster.json\n");
    static const char *const lines[] = {"#SBATCH --account=p-12\n",
                                        "#SBATCH --partition=gpu,any\n",
                                        "#SBATCH --time=1-02:00\n",
                                        "#SBATCH --mem=32G\n",
                                        "#SBATCH --cpus-per-task=16\n",
                                        "#SBATCH --gres=gpu:2\n",
                                        "#SBATCH --signal=B:USR1@300\n",
                                        "#SBATCH --qos=long\n",
                                        "module load 'cuda/12'\nmodule load 'it'\\''s'\n",
                                        "apptainer exec --nv '/a b/k.sif' kappatune train ",
                                        "--device 'cuda' --gpus 2 ",
                                        "-lt 5 ]"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_says(&r, lines[i]);
    run(&r, folder,
        HERE "sed -i 's/\"gpus\": 2/\"gpus\": 1/' cluster.json; $KT submit small.json --slurm --dry-run "
             "--array --cluster cluster.json | grep cpus-per-task");
    assert_string_equal(
        r.out, "#SBATCH --cpus-per-task=1\n#SBATCH --cpus-per-task=16\n"); /* a fold, the collecting */
    /* Another file; the user's own, where none is named. */
    write_text(folder, "other.json",
               "{\"ranks\": 8, \"nodes\": 2, \"mpi\": \"pmix\", \"gpus\": 4, \"device\": \"cuda\"}");
    run(&r, folder, HERE "$KT submit small.json --slurm --dry-run --cluster other.json");
    assert_status(&r, 0);
    assert_says(&r, "#SBATCH --nodes=2\n#SBATCH --ntasks=8\n");
    assert_says(&r, "srun -n 8 --cpus-per-task=");
    assert_says(&r, " --mpi='pmix' ");
    assert_says(&r, "#SBATCH --gres=gpu:4\n");
    assert_null(strstr(r.out, "--gpus"));
    run(&r, folder, HERE "$KT submit small.json --slurm --dry-run --cluster other.json --array");
    assert_status(&r, 1);
    assert_complains(&r, "`ranks` is 8, but a task of the array trains one fold");
    run(&r, folder,
        HERE "mkdir -p .config/kappatune && mv other.json .config/kappatune/cluster.json && $KT submit "
             "small.json --slurm --dry-run");
    assert_status(&r, 0);
    assert_says(&r, "-n 8");
    assert_complains(&r, "/.config/kappatune/cluster.json\n");
    outcome_destroy(&r);
}

/* A cluster.json that came with somebody's data decides nothing. */
static void the_folders_own_file_is_not_read(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_text(folder, "cluster.json", "{\"account\": \"theirs\", \"container\": \"theirs.sif\"}");
    run(&r, folder, HERE "$KT submit small.json --slurm --dry-run");
    assert_status(&r, 0);
    assert_null(strstr(r.out, "theirs"));
    assert_complains(&r, "./cluster.json is not read unless it is named: --cluster cluster.json");
    assert_null(strstr(r.err, "cluster file:"));
    outcome_destroy(&r);
}

/* Whatever stands in a cluster file, the script runs the program and nothing else. */
static void no_setting_is_a_command(void **state)
{
    static const char *const settings[] = {
        "{\"device\": \"cpu;touch${IFS}X;\"}",
        "{\"device\": \"$(touch${IFS}X)\"}",
        "{\"ranks\": 2, \"mpi\": \"pmix;touch${IFS}X;\"}",
        "{\"ranks\": 2, \"mpi\": \"$(touch${IFS}X)\"}",
        "{\"account\": \"a;touch${IFS}X\"}",
        "{\"partition\": \"$(touch${IFS}X)\"}",
        "{\"memory\": \"1G&touch${IFS}X\"}",
        "{\"time\": \"04:00:00;touch${IFS}X\"}",
        "{\"container\": \"a'; touch X; '\"}",
        "{\"container\": \"--bind=/\"}",
        "{\"modules\": [\"a'; touch X; '\", \"$(touch X)\"]}",
        "{\"sbatch\": [\"--qos=$(touch${IFS}X)\", \"--comment=;touch${IFS}X\"]}",
    };
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        HERE
        "for tool in srun apptainer module; do printf '#!/bin/sh\n' >bin/$tool; chmod +x bin/$tool; done");
    assert_status(&r, 0);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        write_text(folder, "cluster.json", settings[i]);
        run(&r, folder,
            HERE "rm -rf runs; $KT submit small.json --slurm --cluster cluster.json && bash -n "
                 "runs/small/submit/train.sh && SLURM_JOB_ID=9 bash runs/small/submit/train.sh");
        if (exists(folder, "X"))
            fail_msg("%s ran a command", settings[i]);
        assert_in_range(r.status, 0, 1);
    }
    outcome_destroy(&r);
}

static void bad_cluster_files_are_named(void **state)
{
    static const char *const cases[][2] = {
        {"{\"partiton\": \"x\"}", "cluster.json: `partiton` is not a key"},
        {"{\"partition\": 3}", "cluster.json: `partition` must be a string"},
        {"{\"partition\": \"a b\"}", "`partition` is \"a b\", which no line of a script can hold"},
        {"{\"account\": \"a\\n#SBATCH --uid=0\"}", "`account` is"},
        {"{\"time\": \"soon\"}", "`time` is \"soon\"; a wall-time is minutes"},
        {"{\"time\": \"2\"}", "`time` is 2, but a job stops `notice` = 120 seconds before"},
        {"{\"nodes\": 2}", "`nodes` is 2, but one process runs on one node"},
        {"{\"cpus\": 0}", "`cpus` must be an integer from 1 to 1024"},
        {"{\"gpus\": 1}", "`gpus` is 1, but `device` is \"cpu\""},
        {"{\"mpi\": \"pmix\"}", "`mpi` is of the processes that `ranks` asks for"},
        {"{\"ranks\": 2, \"device\": \"cuda-auto\"}", "each of the `ranks` would choose its own kernels"},
        {"{\"device\": \"tpu\"}", "`device` is \"tpu\"; it can be cpu, cuda, "},
        {"{\"device\": \"cpu;touch${IFS}X;\"}", "`device` is \"cpu;touch${IFS}X;\"; it can be"},
        {"{\"ranks\": 2, \"mpi\": \"pmix;x\"}", "`mpi` is \"pmix;x\"; it is a name of letters, digits"},
        {"{\"container\": \"--nv\"}", "`container` is \"--nv\", which no line of a script can hold"},
        {"{\"sbatch\": [\"qos\"]}", "`sbatch` must be a list of options of sbatch"},
        {"{\"modules\": \"cuda\"}", "`modules` must be an array"},
        {"[]", "is not a JSON object"},
        {"{", "cluster.json:1: "},
    };
    const char *folder = *state;
    outcome r = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_text(folder, "cluster.json", cases[i][0]);
        run(&r, folder, HERE "$KT submit small.json --slurm --cluster cluster.json");
        assert_status(&r, 1);
        assert_complains(&r, cases[i][1]);
    }
    assert_false(exists(folder, "runs"));
    assert_false(exists(folder, "sbatch.log"));
    outcome_destroy(&r);
}

static void what_cannot_run_is_not_submitted(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    static const char *const wrong[][2] = {
        {"small.json", "name the queue: --slurm"},
        {"--slurm", "name one recipe"},
        {"small.json --slurm --at-once 2", "--at-once belongs to --array"},
        {"small.json --slurm --after soon", "--after takes numbers of jobs, 12 or 12,13, not 'soon'"},
        {"small.json --slurm --after 12,", "not '12,'"},
        {"small.json --slurm --device tpu", "--device takes cpu"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        run(&r, folder, HERE "$KT submit %s", wrong[i][0]);
        assert_status(&r, 2);
        assert_complains(&r, wrong[i][1]);
    }
    run(&r, folder, HERE "$KT submit small.json --slurm --array --device cuda-auto");
    assert_status(&r, 1);
    assert_complains(&r, "each task of an array would time and choose its own kernels");
    write_text(folder, "bad.json", "{\"data\": \"set.csv\", \"batch\": [4, 0]}");
    run(&r, folder, HERE "$KT submit bad.json --slurm");
    assert_status(&r, 1);
    assert_complains(&r, "bad.json: `batch` must be an integer");
    write_text(folder, "bad.json", "{\"data\": \"gone.csv\"}");
    run(&r, folder, HERE "$KT submit bad.json --slurm");
    assert_status(&r, 1);
    assert_complains(&r, "gone.csv: cannot be read: No such file");
    run(&r, folder, HERE "$KT submit bad.json --slurm --dry-run --after 3"); /* which may make it */
    assert_status(&r, 0);
    write_text(folder, "bad.json",
               "{\"data\": \"set.csv\", \"stages\": [{\"name\": \"a\"}, {\"name\": \"b\", \"folds\": 3}]}");
    run(&r, folder, HERE "$KT submit bad.json --slurm --array");
    assert_status(&r, 1);
    assert_complains(&r, "its stages differ in their folds");
    assert_false(exists(folder, "sbatch.log"));
    /* A queue that takes no job leaves nothing that has to be gone on with. */
    run(&r, folder, HERE "touch broken && $KT submit small.json --slurm");
    assert_status(&r, 1);
    assert_complains(&r, "sbatch took no job");
    run(&r, folder, HERE "rm broken bin/sbatch && PATH=/nowhere && $KT submit small.json --slurm");
    assert_status(&r, 1);
    assert_complains(&r, "sbatch cannot be started");
    outcome_destroy(&r);
}

static void a_strangers_folder_gets_no_run(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    static const char *const ways[] = {"submit small.json --slurm --out mine",
                                       "submit staged.json --slurm --out mine",
                                       "submit small.json --slurm --out mine --array"};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        run(&r, folder,
            HERE "mkdir -p mine && echo mine >mine/predictions.csv; $KT %s; s=$?; ls mine; exit $s", ways[i]);
        assert_status(&r, 1);
        assert_complains(&r, "mine: is no run folder, and holds predictions.csv");
        assert_string_equal(r.out, "predictions.csv\n");
    }
    assert_false(exists(folder, "sbatch.log"));
    run(&r, folder,
        HERE "for fold in 1 2; do $KT train small.json --fold $fold --quiet --out mine/parts/fold-$fold "
             ">/dev/null || exit 9; done; $KT collect mine; s=$?; cat mine/predictions.csv; exit $s");
    assert_status(&r, 1);
    assert_complains(&r, "mine: is no run folder, and holds predictions.csv");
    assert_string_equal(r.out, "mine\n");
    outcome_destroy(&r);
}

/* Names that a shell or Slurm would take for more than names. */
static void odd_names_stay_names(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        HERE "mkdir \"it's \\$(touch oops) 5%%\" && cd it* && cp ../small.json ../set.csv . && $KT submit "
             "small.json --slurm --out \"r; touch oops %%j\" && PATH=../bin:$PATH bash 'r; touch oops "
             "%%j/submit/train.sh' 2>&1 && ls r* && ls");
    assert_status(&r, 0);
    assert_says(&r, "metrics.json");
    assert_null(strstr(r.out, "oops\n"));
    assert_file_has(folder, "sbatch.log", "--output=r; touch oops %%j/submit/train-%j.log\n");
    assert_file_has(folder, "sbatch.log", "/it's $(touch oops) 5%\n");
    outcome_destroy(&r);
}

/* The scripts, run as Slurm would, give the files of an undisturbed run. */
static void an_array_becomes_a_run(void **state)
{
    static const char *const recipes[] = {"small", "staged"};
    const char *folder = *state;
    outcome r = {0};
    for (int i = 0; i < 2; i++) {
        const char *name = recipes[i];
        run(&r, folder, HERE "rm -f sbatch.log calls; $KT submit %s.json --slurm --array", name);
        assert_status(&r, 0);
        assert_string_equal(r.out, "42\n"); /* the one that ends the run */
        assert_complains(&r, "job 41: an array of 2 tasks, then job 42");
        assert_file_has(folder, "sbatch.log", "--dependency=afterok:41\n--kill-on-invalid-dep=yes\n");
        run(&r, folder, HERE "$KT status runs/%s", name);
        assert_status(&r, 0);
        assert_says(&r, "not begun");
        run(&r, folder, HERE "$KT submit %s.json --slurm --array", name);
        assert_status(&r, 1);
        assert_complains(&r, "already holds a run; use --resume");
        run(&r, folder, HERE "SLURM_ARRAY_TASK_ID=2 SLURM_JOB_ID=9 bash runs/%s/submit/train.sh", name);
        assert_status(&r, 0);
        run(&r, folder, HERE "$KT collect runs/%s", name);
        assert_status(&r, 1);
        assert_complains(&r, "has no parts/fold-1");
        run(&r, folder, HERE "$KT status runs/%s", name);
        assert_says(&r, "not begun     1");
        assert_says(&r, "finished      2");
        run(&r, folder,
            HERE "mkdir -p runs/%s/parts/fold-1 && cp runs/%s/parts/fold-2/recipe.json "
                 "runs/%s/parts/fold-1/ && $KT collect runs/%s",
            name, name, name, name);
        assert_status(&r, 1);
        assert_complains(&r, "1 of 2 folds have not finished: 1");
        run(&r, folder,
            HERE "SLURM_ARRAY_TASK_ID=1 SLURM_JOB_ID=9 bash runs/%s/submit/train.sh && bash "
                 "runs/%s/submit/collect.sh && bash runs/%s/submit/collect.sh",
            name, name, name);
        assert_status(&r, 0);
        run(&r, folder,
            HERE "$KT train %s.json --out whole --quiet >/dev/null && diff -r -x lock -x log.jsonl "
                 "-x parts -x submit whole runs/%s && rm -r whole",
            name, name);
        assert_status(&r, 0);
        run(&r, folder, HERE "$KT status runs/%s --json | grep -c finished", name);
        assert_string_equal(r.out, i == 0 ? "2\n" : "4\n");
    }
    assert_false(exists(folder, "scontrol.log"));
    outcome_destroy(&r);
}

static void parts_of_another_recipe_are_refused(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        HERE "for fold in 1 2; do $KT train --data set.csv --folds 2 --epochs $fold --fold $fold --quiet "
             "--out run/parts/fold-$fold >/dev/null; done; $KT collect run");
    assert_status(&r, 1);
    assert_complains(&r, "run/parts/fold-2/recipe.json: is another recipe than fold 1 has");
    run(&r, folder, HERE "$KT collect nowhere");
    assert_status(&r, 1);
    assert_complains(&r, "nowhere: has no parts/fold-1");
    run(&r, folder, HERE "$KT status nowhere");
    assert_status(&r, 1);
    assert_complains(&r, "nowhere: is no run folder");
    outcome_destroy(&r);
}

/* USR1 to the script's shell, as before the wall-time. */
static void a_signal_queues_the_job_again(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    write_text(folder, "long.json", "{\"data\": \"set.csv\", \"folds\": 2, \"epochs\": 200}");
    write_text(folder, "cluster.json", "{\"restarts\": 1}");
    run(&r, folder, HERE "$KT submit long.json --slurm --cluster cluster.json");
    assert_status(&r, 0);
    static const char cut[] =
        HERE "export SLURM_JOB_ID=9 SLURM_RESTART_COUNT=%d; bash runs/long/submit/train.sh & p=$!; while ! "
             "grep -q process runs/long/lock 2>/dev/null; do sleep 0.05; done; $KT status runs/long >during; "
             "kill -USR1 $p; wait $p";
    run(&r, folder, cut, 0);
    assert_status(&r, 4);
    assert_file_has(folder, "during", "running (host ");
    assert_file_has(folder, "scontrol.log", "requeue 9\n");
    run(&r, folder, HERE "$KT status runs/long");
    assert_says(&r, "stopped");
    /* It was queued again as often as it may be. */
    run(&r, folder, HERE "rm scontrol.log runs/long/lock");
    run(&r, folder, cut, 1);
    assert_status(&r, 4);
    assert_complains(&r, "stopped, and not queued again");
    assert_false(exists(folder, "scontrol.log"));
    /* A failure is none of the wall-time's. */
    run(&r, folder, HERE "mv set.csv gone.csv; SLURM_JOB_ID=9 bash runs/long/submit/train.sh");
    assert_status(&r, 1);
    assert_false(exists(folder, "scontrol.log"));
    run(&r, folder,
        HERE "mv gone.csv set.csv; bash runs/long/submit/train.sh && $KT train long.json --out whole --quiet "
             "&& diff -r -x lock -x log.jsonl -x submit whole runs/long");
    assert_status(&r, 0);
    assert_file_lacks(folder, "runs/long/metrics.json", "\"failed\": true");
    outcome_destroy(&r);
}

static void a_submitted_run_goes_on(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        HERE
        "$KT submit small.json --slurm && bash runs/small/submit/train.sh && $KT submit small.json --slurm");
    assert_status(&r, 1);
    assert_complains(&r, "already holds a run");
    run(&r, folder, HERE "$KT submit small.json --slurm --resume");
    assert_status(&r, 0);
    write_text(folder, "small.json", "{\"data\": \"set.csv\", \"folds\": 2, \"epochs\": 3}");
    run(&r, folder, HERE "$KT submit small.json --slurm --resume");
    assert_status(&r, 1);
    assert_complains(&r, "this run has `epochs` 2, but 3 is asked for");
    outcome_destroy(&r);
}

/* Rows that are rejected are no failure to the jobs that wait. */
static void rejects_are_no_failure(void **state)
{
    const char *folder = *state;
    outcome r = {0};
    run(&r, folder,
        HERE "echo 'Xx,rocksalt,5.5,,,10,broken' >>set.csv; $KT submit small.json --slurm; bash "
             "runs/small/submit/train.sh");
    assert_status(&r, 0);
    assert_complains(&r, "1 rows were rejected");
    outcome_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_dry_run_leaves_nothing, setup, folder_teardown),
        cmocka_unit_test_setup_teardown(the_cluster_file_decides, setup, folder_teardown),
        cmocka_unit_test_setup_teardown(the_folders_own_file_is_not_read, setup, folder_teardown),
        cmocka_unit_test_setup_teardown(no_setting_is_a_command, setup, folder_teardown),
        cmocka_unit_test_setup_teardown(bad_cluster_files_are_named, setup, folder_teardown),
        cmocka_unit_test_setup_teardown(what_cannot_run_is_not_submitted, setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_strangers_folder_gets_no_run, setup, folder_teardown),
        cmocka_unit_test_setup_teardown(odd_names_stay_names, setup, folder_teardown),
        cmocka_unit_test_setup_teardown(an_array_becomes_a_run, setup, folder_teardown),
        cmocka_unit_test_setup_teardown(parts_of_another_recipe_are_refused, setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_signal_queues_the_job_again, setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_submitted_run_goes_on, setup, folder_teardown),
        cmocka_unit_test_setup_teardown(rejects_are_no_failure, setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
