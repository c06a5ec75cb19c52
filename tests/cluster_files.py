"""Configuration files of the private SLURM of `tests.cluster`."""

SLURM = """\
ClusterName=degen
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job waits until its old credentials have expired.
AuthInfo=socket={root}/run/munge.sock,cred_expire=5
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/run/slurmctld.pid
SlurmdPidFile={root}/run/slurmd.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
MailProg=/bin/true
SwitchType=switch/none
ReturnToService=2
SlurmdTimeout=60
InactiveLimit=0
KillWait=5
# On laden cores a test looks at a job minutes after it has ended.
MinJobAge=1800
MaxArraySize={max_array_size}
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=64000 Gres=gpu:4 State=UNKNOWN
PartitionName=low Nodes=node1 Default=YES PriorityTier=1 PreemptMode=REQUEUE MaxTime=INFINITE DefaultTime=10
PartitionName=high Nodes=node1 PriorityTier=10 PreemptMode=OFF MaxTime=INFINITE DefaultTime=10
"""

ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePass={root}/run/munge.sock
AccountingStoragePort={database_port}
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations
"""

DATABASE = """\
AuthType=auth/munge
AuthInfo=socket={root}/run/munge.sock
DbdHost={host}
DbdAddr=127.0.0.1
CommunicationParameters=NoInAddrAny
DbdPort={database_port}
SlurmUser=root
LogFile={root}/log/slurmdbd.log
PidFile={root}/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm
"""

GPUS = """\
AutoDetect=off
NodeName=node1 Name=gpu File={root}/gpu[0-3]
"""
