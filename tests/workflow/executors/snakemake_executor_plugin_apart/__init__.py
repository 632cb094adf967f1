"""Starts each job as a cluster's executor does, by a Snakemake of its own, on this machine."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.jobs import JobExecutorInterface
from snakemake_interface_executor_plugins.settings import CommonSettings

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_envvar_declarations_to_cmd=True,
    auto_deploy_default_storage_provider=False,
    init_seconds_before_status_checks=0,
)


def _process(info: SubmittedJobInfo) -> subprocess.Popen[bytes]:
    assert info.aux is not None
    return info.aux["process"]


class Executor(RemoteExecutor):
    """Runs the command of each job in a shell."""

    def run_job(self, job: JobExecutorInterface) -> None:
        started = subprocess.Popen(["sh", "-c", self.format_job_exec(job)])
        self.report_job_submission(SubmittedJobInfo(job=job, aux={"process": started}))

    async def check_active_jobs(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncGenerator[SubmittedJobInfo, None]:
        for info in active_jobs:
            status = _process(info).poll()
            if status is None:
                yield info
            elif status:
                self.report_job_error(info)
            else:
                self.report_job_success(info)

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        for info in active_jobs:
            _process(info).terminate()
