"""The page: what it shows, in a real browser too, and its sentences."""

import json
import re
import shutil
import subprocess

import pytest

from optimizer.evaluation.results import CapacityRow
from optimizer.pipeline.report import carried, write_report


def test_the_page_holds_every_picture_and_names_the_machine(finished):
    page = (finished.out / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") >= 8
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page
    assert "known by its datasheet" in page
    for words in (
        "What to run where",
        "How many sensors this network carries",
        "The price of certainty",
        "(union bound)",
        "of the complete model's, %",
        "Which models there are",
        "What happened in the trial",
        "What each scheme gains by the model",
        "What is assumed and what was measured",
    ):
        assert words in page


def test_the_simplest_detectors_stand_beside_the_models(finished):
    page = (finished.out / "report.html").read_text(encoding="utf-8")
    table = page[page.index("Which models there are") :]
    rows = re.findall(
        r"<tr[^>]*><td>([^<]*)</td><td>([\d.]+)</td><td>[\d.]+ to [\d.]+</td>",
        table,
    )
    assert [name for name, _ in rows][:5] == [
        "complete", "p = 0.5", "p = 0.9", "straight line on 64 numbers", "random forest on 64 numbers",
    ]  # fmt: skip


def test_what_must_be_known_first_stands_above_everything(finished, tmp_path):
    """A dense model that a straight line beats is said to be so at the top of the page."""
    run = tmp_path / "run"
    shutil.copytree(finished.out, run)
    content = json.loads((run / "bundle" / "models.json").read_text())
    content["models"][0]["accuracy"] = 0.25
    content["baselines"][0]["difference"] |= {"value": 0.75, "low": 0.5, "high": 0.9}
    (run / "bundle" / "models.json").write_text(json.dumps(content))
    write_report(run, run / "report.html")
    page = (run / "report.html").read_text(encoding="utf-8")
    said = page.index("A straight line on 64 numbers is more accurate than the dense VGG-16")
    assert said < page.index("What to run where")


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt-get install chromium")
@pytest.mark.parametrize("width", [400, 1400])
def test_a_browser_shows_the_page_without_errors_at_this_width(finished, tmp_path, width):
    probe = (
        "<script>addEventListener('load',()=>{document.title=JSON.stringify({"
        "broken:[...document.images].filter(i=>!i.complete||!i.naturalWidth).length,"
        "images:document.images.length,wide:document.documentElement.scrollWidth-innerWidth})})</script></body>"
    )
    page = (finished.out / "report.html").read_text(encoding="utf-8").replace("</body>", probe)
    # Headless windows have a least width, so the page is put into a frame of the wanted one.
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    frame = (
        f"<iframe id=f width={width} height=900 src=page.html></iframe><script>"
        "f.onload=()=>setTimeout(()=>{document.body.innerHTML='<pre>'+f.contentDocument.title+'</pre>'},300)</script>"
    )
    (tmp_path / "frame.html").write_text(frame, encoding="utf-8")
    done = subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
            "--enable-logging=stderr", "--virtual-time-budget=8000", "--dump-dom", str(tmp_path / "frame.html"),
        ],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    found = re.search(r"<pre>(\{.*?\})</pre>", done.stdout)
    assert found, done.stdout[:500] + done.stderr[-500:]
    seen = json.loads(found[1])
    assert seen["images"] >= 8
    assert seen["broken"] == 0
    assert seen["wide"] <= 0
    assert "CONSOLE" not in done.stderr


def test_capacity_is_told_in_words():
    rows = [CapacityRow(sensors_per_gateway=10, drop_ratio=0.0), CapacityRow(sensors_per_gateway=12, drop_ratio=0.02)]
    assert "Up to 10 sensors" in carried(rows)
    assert "At least 10 sensors" in carried(rows[:1])
    assert "Even one sensor" in carried(rows[1:])
