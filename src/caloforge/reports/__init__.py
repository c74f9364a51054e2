"""Reports: the figures of an evaluation as JSON, then as one self-contained page with plots."""

from caloforge.reports.write import check_report_folder, render_html, write_report

__all__ = ["check_report_folder", "render_html", "write_report"]
