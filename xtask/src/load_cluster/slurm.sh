# A cluster of Slurm with one node, this machine, for as long as this shell runs. Its files are in ./slurm.
PATH=$PATH:/usr/sbin
for program in slurmctld slurmd srun sbatch sinfo scancel munged setpriv; do
    command -v "$program" >/dev/null || {
        echo "$program is missing; to install it: apt-get install slurm-wlm (RUNLEVEL=1 apt-get ... starts no daemon)"
        exit 77
    }
done
[ "$(id -u)" = 0 ] || { echo "Slurm's daemons need root"; exit 77; }

mkdir -p slurm/state slurm/spool slurm/munge
export SLURM_CONF="$PWD/slurm/slurm.conf"
# Two ports below those that the system gives away.
set -- $(shuf -i 20000-30000 -n 2)
cat >"$SLURM_CONF" <<END
ClusterName=load
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$1
SlurmdPort=$2
AuthType=auth/munge
AuthInfo=socket=$PWD/slurm/munge/socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$PWD/slurm/state
SlurmdSpoolDir=$PWD/slurm/spool
SlurmctldPidFile=$PWD/slurm/slurmctld.pid
SlurmdPidFile=$PWD/slurm/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:8
END

# A daemon ends with this shell at the latest.
daemons=
daemon() {
    name=$1
    shift
    setpriv --pdeathsig TERM "$@" >"slurm/$name.txt" 2>&1 &
    daemons="$! $daemons"
}
stop() {
    status=$?
    trap - EXIT
    scancel --user root >/dev/null 2>&1
    for daemon in $daemons; do
        kill "$daemon" || { echo "a daemon of Slurm had ended already:"; tail -n 5 slurm/*.txt; status=1; }
        wait "$daemon"
    done
    exit "$status"
}
trap stop EXIT
trap 'exit 1' TERM
# Waits for 30 s at most.
await() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ "$tries" -lt 300 ] || { echo "Slurm is not ready ($*):"; tail -n 5 slurm/*.txt; exit 1; }
        sleep 0.1
    done
}
is_idle() { [ "$(sinfo --noheader --format %T 2>/dev/null)" = idle ]; }

# Munge runs as its own user, or it would not; and a checkout may be where others can write, so it is forced.
user=$(stat -c %U /etc/munge) && group=$(stat -c %G /etc/munge) || exit 1
head -c 128 /dev/urandom >slurm/munge/key
chmod 400 slurm/munge/key
chmod 755 slurm/munge
chown -R "$user:$group" slurm/munge
munge=$PWD/slurm/munge
daemon munged --reuid="$user" --regid="$group" --clear-groups munged --foreground --force --key-file="$munge/key" \
    --socket="$munge/socket" --pid-file="$munge/pid" --seed-file="$munge/seed" --log-file="$munge/log"
await test -S slurm/munge/socket
daemon slurmctld slurmctld -D -c
daemon slurmd slurmd -D
await is_idle

