#!/bin/bash
# test_slurm.sh PROGRAM: submit, status and collect under a Slurm of the test's own (munge, a controller, four nodes, on the
# loopback device, in a temporary folder). A job, a task of an array and a job of two MPI ranks that the wall-time cuts, an array, a sweep
# and jobs that wait for others must leave the files of undisturbed runs, bit for bit. Slurm's least wall-time is a minute, so this takes a little more than that.
# Exit status 77 where there is no Slurm, or the user is not root.
set -u

program=$(readlink -f "$1")
table=$PWD/datasets/togo15.csv
PATH=$PATH:/usr/sbin:/sbin
for tool in munged slurmctld slurmd sbatch scontrol; do
    command -v $tool >/dev/null || { echo "skipped: there is no $tool (Debian: slurm-wlm, munge)"; exit 77; }
done
[ "$(id -u)" -eq 0 ] || { echo "skipped: Slurm's daemons need root"; exit 77; }

scratch=$(mktemp -d)
daemons=
cleanup() {
    if [ -n "$daemons" ]; then
        scancel --user=root 2>/dev/null
        for _ in $(seq 50); do
            [ -n "$(squeue --noheader 2>/dev/null)" ] || break
            sleep 0.2
        done
        # shellcheck disable=SC2086
        kill $daemons 2>/dev/null
        wait
    fi
    rm -rf "$scratch"
}
trap cleanup EXIT
cd "$scratch" || exit 1
chmod 755 "$scratch"
export SLURM_CONF=$scratch/slurm.conf

fail() {
    echo "FAILED: $*"
    for log in "$scratch"/*.log "$scratch"/runs/*/submit/*.log; do
        [ -f "$log" ] && echo "---- $log" && tail -n 20 "$log"
    done
    squeue --all --array 2>&1 | head -20
    exit 1
}

# until SECONDS WHAT COMMAND...: waits for the command to succeed.
until_true() {
    local last=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ $SECONDS -lt $last ] || fail "$what did not happen"
        sleep 0.2
    done
}

# ---- Slurm ----

is_free() { ! (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
port=$((20000 + $$ % 10000 * 4))
all_free() { for offset in 0 1 2 3 4; do is_free $((port + offset)) || return 1; done; }
until all_free; do port=$((port + 5)); done

(umask 077 && head -c 128 /dev/urandom >munge.key)
mkdir state
cat >slurm.conf <<END
ClusterName=test
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmUser=root
SlurmctldPort=$port
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$scratch/munge.socket,cred_expire=5
StateSaveLocation=$scratch/state
SlurmctldPidFile=$scratch/slurmctld.pid
SlurmctldLogFile=$scratch/slurmctld.log
SlurmdPidFile=$scratch/slurmd.%n.pid
SlurmdSpoolDir=$scratch/spool.%n
SlurmdLogFile=$scratch/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=2
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=5
OverTimeLimit=0
NodeName=node1 NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=1 State=UNKNOWN
NodeName=node2 NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=1 State=UNKNOWN
NodeName=node3 NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=$((port + 3)) CPUs=1 State=UNKNOWN
NodeName=node4 NodeHostname=$(hostname) NodeAddr=127.0.0.1 Port=$((port + 4)) CPUs=2 State=UNKNOWN
PartitionName=small Nodes=node1,node2,node3 Default=YES MaxTime=1 State=UP
PartitionName=wide Nodes=node4 MaxTime=1 State=UP
END
munged --foreground --force --key-file="$scratch/munge.key" --socket="$scratch/munge.socket" --pid-file="$scratch/munged.pid" \
    --seed-file="$scratch/munged.seed" --log-file="$scratch/munged.log" >munged.out 2>&1 &
daemons="$daemons $!"
until_true 10 "munge's socket" test -S munge.socket
slurmctld -D >slurmctld.out 2>&1 &
daemons="$daemons $!"
for node in node1 node2 node3 node4; do
    mkdir spool.$node
    slurmd -D -N $node >slurmd.out.$node 2>&1 &
    daemons="$daemons $!"
done
nodes_are_idle() { [ "$(sinfo --noheader --Node --states=idle 2>/dev/null | wc -l)" -eq 4 ]; }
until_true 40 "four idle nodes" nodes_are_idle

# ---- what is trained ----

mkdir kappatune
cat >kappatune/cluster.json <<END
{"partition": "small", "time": "1", "cpus": 1, "notice": 20}
END
export XDG_CONFIG_HOME=$scratch
cat >ranks-cluster.json <<END
{"partition": "wide", "time": "1", "cpus": 1, "ranks": 2, "mpi": "pmix", "notice": 20}
END
# A row that is rejected: status 3 of `train` must let dependent jobs start.
(cat "$table" && echo "Xx,rocksalt,5.5,,,10,broken") >some-rejected.csv
echo "{\"data\": \"$table\", \"folds\": 3, \"epochs\": 300}" >long.json
echo '{"data": "some-rejected.csv", "folds": 3, "epochs": 2}' >first.json
echo '{"folds": 3, "epochs": 2, "stages": [
    {"name": "a", "data": "some-rejected.csv", "from": "runs/first"},
    {"name": "b", "data": "some-rejected.csv", "from": {"stage": "a"}}]}' >second.json
echo "{\"data\": \"$table\", \"folds\": 2, \"epochs\": 300, \"seed\": [1, 2]}" >sweep.json
echo "{\"data\": \"$table\", \"folds\": 2, \"epochs\": 300}" >ranks.json
echo '{"data": "nowhere.csv", "folds": 2, "epochs": 2}' >broken.json

submit() { "$program" submit "$@" --slurm 2>>submit.log; }
state_of() { scontrol --oneliner show job "$1" | grep -o 'JobState=[A-Z]*' | sort -u | tr '\n' ' '; }

long=$(submit long.json) || fail "submit long.json"
sweep=$(submit sweep.json --array --at-once 1) || fail "submit sweep.json --array"
first=$(submit first.json --array --at-once 2) || fail "submit first.json --array"
second=$(submit second.json --after "$first") || fail "submit second.json --after"
broken=$(submit broken.json --after "$first") || fail "submit broken.json"
never=$(submit sweep.json --out runs/never --after "$broken") || fail "submit --after of a job that fails"
# Ranks need a build with MPI, and a Slurm that can start its processes.
ranks=
if [ -n "$(find "$(dirname "$program")/.." -name libkappatune_mpi.so)" ] && srun --mpi=list 2>&1 | grep -q 'pmix$'; then
    ranks=$(submit ranks.json --cluster ranks-cluster.json) || fail "submit ranks.json"
else
    echo "no build with MPI, or a Slurm without pmix: no job of ranks"
fi
echo "jobs: cut $long $ranks, array's last $first, dependent $second, sweep $sweep, failing $broken, cancelled $never"

# ---- the wall-time ----

# The trainers are stopped once they have begun, so that the cut finds them in the midst of their work on a machine of any speed.
trainer_of() { sed -n 's/.*process \([0-9]*\).*/\1/p' "$1/lock" 2>/dev/null; }
# Of ranks, those beside the first are named in the log alone.
others_of() { sed -n 's/^rank [1-9][0-9]* (host .*, process \([0-9]*\)).*/\1/p' "$1"/submit/*.log 2>/dev/null; }
has_begun() {
    local trainer
    trainer=$(trainer_of "$1")
    [ -n "$trainer" ] || return 1
    if [ "$1" = runs/ranks ]; then
        [ -n "$(others_of "$1")" ] || return 1
    fi
    # shellcheck disable=SC2046
    kill -STOP "$trainer" $(others_of "$1")
}
signal_waits() { grep -q '^ShdPnd:.*[2367abef][0-9a-f][0-9a-f]$' "/proc/$(trainer_of "$1")/status"; }
was_requeued() { scontrol show job "$1" | grep -q 'Restarts=[1-9]'; }
cut=(runs/long runs/sweep/points/1 ${ranks:+"runs/ranks"})
for run in "${cut[@]}"; do until_true 30 "the start of $run" has_begun "$run"; done
"$program" status runs/long | grep -q "running (host .*, process $(trainer_of runs/long))" || fail "status names no owner"
for run in "${cut[@]}"; do until_true 90 "the signal before the wall-time of $run" signal_waits "$run"; done
echo "the signals came after $SECONDS s"
# shellcheck disable=SC2046
for run in "${cut[@]}"; do kill -CONT "$(trainer_of "$run")" $(others_of "$run"); done
for job in $long "${sweep}_1" $ranks; do until_true 30 "the return of $job into the queue" was_requeued "$job"; done

# ---- the end ----

is_over() {
    for job in $long $ranks $first $second $sweep $broken $never; do
        # No answer is none: a busy controller is asked again.
        case $(state_of "$job") in "JobState=COMPLETED " | "JobState=FAILED " | "JobState=CANCELLED ") ;; *) return 1 ;; esac
    done
}
until_true 120 "the end of all jobs" is_over
echo "all jobs ended after $SECONDS s"
for job in $long $ranks $first $second $sweep; do
    [ "$(state_of "$job")" = "JobState=COMPLETED " ] || fail "job $job is $(state_of "$job")"
done
[ "$(state_of "$broken")" = "JobState=FAILED " ] || fail "job $broken is $(state_of "$broken")"
[ "$(state_of "$never")" = "JobState=CANCELLED " ] || fail "job $never is $(state_of "$never")"
for run in "${cut[@]}"; do
    for event in stopped resumed; do
        grep -q "\"event\":\"$event\"" "$run/log.jsonl" || fail "$run was not $event"
    done
done
[ "$("$program" status runs/sweep | grep -c finished)" -eq 4 ] || fail "status of the sweep"

same() {
    diff -r -x submit -x parts -x 'log*.jsonl' -x lock "$1" "$2" >differences || fail "$1 and $2 differ: $(cat differences)"
}
mkdir alone
"$program" train long.json --out alone/long --quiet >/dev/null || fail "train long.json"
"$program" train first.json --out alone/first --quiet >/dev/null 2>&1
[ $? -eq 3 ] || fail "train first.json"
"$program" train second.json --out alone/second --quiet >/dev/null 2>&1
"$program" train sweep.json --out alone/sweep --quiet >/dev/null || fail "train sweep.json"
"$program" train ranks.json --out alone/ranks --quiet >/dev/null || fail "train ranks.json"
for run in long first second sweep ${ranks:+ranks}; do same "alone/$run" "runs/$run"; done
echo "passed: the same bits as undisturbed runs, after $SECONDS s"
