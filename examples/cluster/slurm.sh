#!/bin/bash
# phasescope on the nodes of a Slurm job: Ray under srun, and phasescope as its driver on the first of them.
#
#     sbatch --nodes=4 --cpus-per-task=16 --gpus-per-node=4 examples/cluster/slurm.sh \
#         capture polypythia --out /shared/runs/pp --steps log --cache-limit 200GB
#
# Whatever stands after the script is what phasescope is told; --cluster is added here. The environment that phasescope is
# installed in has to be active where sbatch is called. Two minutes before the time is up, or when the nodes are wanted for
# others, phasescope ends between two writes and the job is put into the queue again: it goes on from what is there.
#SBATCH --job-name=phasescope
#SBATCH --ntasks-per-node=1
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

export RAY_USAGE_STATS_ENABLED=0
# Whoever reaches Ray may run anything as you: only who knows this job's token may.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n')
cores=${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}
# Nodes that keep a limit (--cache-limit) need a cache of the hub of their own; without one a shared cache will do.
case " $* " in *" --cache-limit"*) export HF_HUB_CACHE=${SLURM_TMPDIR:-/tmp}/phasescope-hub-$SLURM_JOB_USER ;; esac

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$head:$((20000 + SLURM_JOB_ID % 10000))  # of its own, where several jobs share a node

srun --nodes=1 --ntasks=1 --nodelist="$head" --overlap \
    ray start --head --block --node-ip-address="$head" --port="${address#*:}" --num-cpus="$cores" \
    --include-dashboard=false --temp-dir="/tmp/ray-$SLURM_JOB_ID" >/dev/null &
ray=$!
if ((SLURM_JOB_NUM_NODES > 1)); then
    srun --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="$head" --overlap \
        ray start --block --address="$address" --num-cpus="$cores" >/dev/null &
fi
until (($(ray status --address="$address" 2>/dev/null | grep -c '^ 1 node_') == SLURM_JOB_NUM_NODES)); do
    kill -0 "$ray"  # Ray did not start: what it said is above.
    sleep 2
done

phasescope "$@" --cluster "$address" &
driver=$!
asked_to_end=
trap 'asked_to_end=yes; kill -TERM $driver' TERM
status=0
wait $driver || status=$?
if [[ $asked_to_end ]]; then
    wait $driver || true  # the first one was ended by the signal
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $status
