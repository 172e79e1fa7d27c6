#!/usr/bin/env bash
# A real SLURM of this machine alone, on loopback: munged, slurmctld, slurmd, as root, without systemd or cgroups.
#   start.sh FOLDER PORT [CPUS]     then:  . FOLDER/env   and sbatch, squeue, ... are there;  stop.sh FOLDER ends it
# Binaries: of the system where slurmctld is on the PATH, else Debian's packages, unpacked below FOLDER/root. Nothing is
# installed. Exit code 3: the packages cannot be had. With a SLURM of before in FOLDER it goes on with its queue.
set -euo pipefail
here=${1:?folder}; port=${2:?port}; cpus=${3:-1}
mkdir -p "$here"; here=$(cd "$here" && pwd)
mkdir -p "$here"/{state,spool,munge,log,debs}
chmod 755 "$here" "$here/munge"; chmod 700 "$here/log" "$here/state"
: > "$here/pids"
host=$(hostname -s)
lib=/usr/lib/$(uname -m)-linux-gnu
if command -v slurmctld >/dev/null; then
  environment="export SLURM_CONF=$here/slurm.conf"
  stepd=$(dirname "$(command -v slurmd)")/slurmstepd
else
  root=$here/root; lib=$root$lib
  if [ ! -e "$root/usr/sbin/slurmstepd" ]; then
    mkdir -p "$root"
    (cd "$here/debs" && apt-get download -q libhwloc15 liblua5.1-0 libmunge2 munge slurm-wlm-basic-plugins \
      slurm-client slurmd slurmctld >"$here/log/apt.out" 2>&1) || exit 3
    for deb in "$here"/debs/*.deb; do dpkg -x "$deb" "$root"; done
    for daemon in slurmctld slurmd slurmstepd; do ln -sf $daemon-wlm "$root/usr/sbin/$daemon"; done
  fi
  environment="export SLURM_CONF=$here/slurm.conf LD_LIBRARY_PATH=$lib/slurm-wlm:$lib PATH=$root/usr/bin:$root/usr/sbin:$PATH"
  stepd=$root/usr/sbin/slurmstepd
fi
echo "$environment" > "$here/env"
cat > "$here/slurm.conf" <<CONF
ClusterName=here
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$here/munge/socket,cred_expire=5
CredType=cred/munge
PluginDir=$lib/slurm-wlm
SlurmctldPort=$port
SlurmdPort=$((port + 1))
StateSaveLocation=$here/state
SlurmdSpoolDir=$here/spool
SlurmctldPidFile=$here/slurmctld.pid
SlurmdPidFile=$here/slurmd.pid
SlurmctldLogFile=$here/log/slurmctld.log
SlurmdLogFile=$here/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=5,sched_interval=5
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobRequeue=0
ReturnToService=2
SlurmdTimeout=6
InactiveLimit=0
KillWait=10
MessageTimeout=10
CompleteWait=0
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=16000 State=UNKNOWN
PartitionName=cpu Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
. "$here/env"
[ -e "$here/munge/key" ] || (umask 077; head -c 1024 /dev/urandom > "$here/munge/key")
start() { # NAME COMMAND...: in a session of its own, its pid kept
  local name=$1; shift
  setsid "$@" >"$here/log/$name.out" 2>&1 </dev/null &
  echo "$name $!" >> "$here/pids"
}
start munged munged --foreground --num-threads=1 --key-file="$here/munge/key" --socket="$here/munge/socket" \
  --pid-file="$here/munge/pid" --seed-file="$here/munge/seed" --log-file="$here/log/munged.log" --force
for _ in $(seq 100); do [ -S "$here/munge/socket" ] && break; sleep 0.05; done
start slurmctld slurmctld -D -f "$here/slurm.conf"
start slurmd slurmd -D -f "$here/slurm.conf" -d "$stepd"
for _ in $(seq 300); do
  [ "$(sinfo -h -o %t 2>/dev/null)" = idle ] && exit 0
  sleep 0.1
done
echo "SLURM did not come up; its logs are in $here/log" >&2
exit 1
