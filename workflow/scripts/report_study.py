from mammoshift.provenance.job import job_log
