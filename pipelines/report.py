"""Stage report: outputs/evaluate/ -> report/index.html and report/report.md."""

from lgc.launch.report import run_report
from lgc.launch.stage import main

if __name__ == "__main__":
    main(lambda: print(f"{run_report()} written"))
