"""Stage report: outputs/evaluate/ -> report/index.html and report/report.md."""

from lgc.launch.report import run_report_stage
from lgc.launch.stage import main

if __name__ == "__main__":
    main(run_report_stage)
