# SPDX-License-Identifier: MIT
# serve_page.py URL FOLDER SCRATCH: every view of the page of `ecgraft serve` in headless Chromium. FOLDER holds recordings to upload.
import json
import os
import re
import struct
import subprocess
import sys
import urllib.parse

import browser

url, folder, scratch = sys.argv[1], os.path.abspath(sys.argv[2]), sys.argv[3]
passed = failed = 0


def check(why, good, more=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print("FAIL", why, str(more)[:600], flush=True)


def write_known(name, spike=1200):
    """Twelve leads at 500/s: a spike of 1.2 mV every 750 ms from 500 ms on, in every lead."""
    n, leads = 5000, ["I", "II", "III", "aVR", "aVL", "aVF"] + ["V%d" % k for k in range(1, 7)]
    one = [0] * n
    for k in range(250, n - 20, 375):
        for d in range(-10, 11):
            one[k + d] = round(spike * (1 - abs(d) / 10))
    with open(os.path.join(scratch, name + ".dat"), "wb") as f:
        f.write(b"".join(struct.pack("<12h", *[v] * 12) for v in one))
    with open(os.path.join(scratch, name + ".hea"), "w") as f:
        f.write("%s 12 500 %d\n" % (name, n) + "".join("%s.dat 16 1000(0)/mV 16 0 0 0 0 %s\n" % (name, lead) for lead in leads))


def trace(d):
    """Points of a path of report/svg.c: absolute and relative moves and lines, in the units of the drawing."""
    points, x, y = [], 0.0, 0.0
    for letter, rest in re.findall(r"([MmLlHhVv])([^MmLlHhVv]*)", d):
        numbers = [float(v) for v in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", rest)]
        while numbers:
            if letter in "Hh":
                x = numbers.pop(0) + (x if letter == "h" else 0)
            elif letter in "Vv":
                y = numbers.pop(0) + (y if letter == "v" else 0)
            else:
                x, y = numbers.pop(0) + (x if letter in "ml" else 0), numbers.pop(0) + (y if letter in "ml" else 0)
            points.append((x, y))
    return points


# Every element, those of shadow trees too, that can be seen.
ALL = """function all(root) {
    const out = [];
    for (const e of root.querySelectorAll('*')) {
        out.push(e);
        if (e.shadowRoot) out.push(...all(e.shadowRoot));
    }
    return out;
}
function seen(e) { return e.checkVisibility({checkOpacity: true, checkVisibilityCSS: true}) && e.getClientRects().length > 0; }
"""
SHADOW = "document.querySelector('.sheet').shadowRoot"
RESULT = "!!document.querySelector('.sheet')?.shadowRoot?.querySelector('.tools')"

# WCAG 2.1, 1.4.3: text against the nearest ground that is not transparent
CONTRAST = "(() => {" + ALL + """
    const channels = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return m.length > 3 ? m : [...m, 1]; };
    const light = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const up = (e) => e.assignedSlot || e.parentElement || (e.getRootNode().host ?? null);
    const bad = []; let texts = 0;
    for (const e of all(document)) {
        if (!seen(e) || e.closest('svg, .unseen, option, input, .skip') || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
        let g = e, ground = null;
        while (g && !ground) { const c = channels(getComputedStyle(g).backgroundColor); if (c[3] > 0.99) ground = c; g = up(g); }
        const a = light(channels(getComputedStyle(e).color)), b = light(ground || [255, 255, 255, 1]);
        texts++;
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) bad.push(e.tagName + '.' + e.className + ' "' + e.textContent.trim().slice(0, 30) + '" ' + ratio.toFixed(2));
    }
    return {texts, bad};
})()"""

WIDE = """(() => ({wide: document.documentElement.scrollWidth, window: document.documentElement.clientWidth}))()"""

FOCUSABLE = "(() => {" + ALL + """
    return all(document).filter((e) => e.matches('a[href], button, input, select, summary, [tabindex]') && e.tabIndex >= 0 && !e.disabled && seen(e) && !e.closest('details:not([open]) > :not(summary)')).length;
})()"""

# What Tab comes to is kept as it comes; where it lies is looked at afterwards.
LISTEN = """(() => {
    window.met = new Map();
    window.meet ??= (event) => {
        const e = event.composedPath()[0], s = getComputedStyle(e), reach = e.querySelector?.('.cal-reach');
        met.set(e, (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2) || Boolean(reach && getComputedStyle(reach).stroke !== 'none'));
    };
    for (const tree of [document, document.querySelector('.sheet')?.shadowRoot]) // what moves inside a tree is not told outside
        tree?.addEventListener('focusin', meet);
    document.activeElement?.blur();
    scrollTo(0, 0);
})()"""
MET = """(() => {
    for (const tree of [document, document.querySelector('.sheet')?.shadowRoot])
        tree?.removeEventListener('focusin', meet);
    const words = (e) => e.tagName + ' ' + (e.getAttribute('aria-label') || e.textContent).trim().slice(0, 30);
    const low = () => document.querySelector('.top').getBoundingClientRect().bottom;
    const hidden = [...met.keys()].filter((e) => { e.focus(); return !e.closest('.top, .skip') && e.getBoundingClientRect().bottom <= low(); });
    return {count: met.size, bare: [...met].filter(([, ring]) => !ring).map(([e]) => words(e)), hidden: hidden.map(words)};
})()"""


def names(page):
    """Controls whose name the browser's own accessibility tree leaves empty."""
    bad = []
    for node in page.call("Accessibility.getFullAXTree")["nodes"]:
        role = node.get("role", {}).get("value")
        if not node.get("ignored") and role in ("button", "link", "textbox", "searchbox", "combobox", "listbox", "checkbox", "slider", "img", "image", "progressbar", "region"):
            if not node.get("name", {}).get("value", "").strip():
                bad.append(role)
    return bad


def tab_through(page, where):
    expected = page.run(FOCUSABLE)
    page.run(LISTEN)
    page.keys("Tab", expected + 8)
    met = page.run(MET)
    check(where + ": Tab reaches every control", met["count"] >= expected, "%d of %d" % (met["count"], expected))
    check(where + ": the focus can be seen", not met["bare"], met["bare"])
    check(where + ": nothing focused lies under the head", not met["hidden"], met["hidden"])


def look(page, where):
    """What holds in every view."""
    for width in (360, 800, 1280):
        page.size(width, 900)
        w = page.run(WIDE)
        check("%s: nothing wider than the window at %d" % (where, width), w["wide"] <= w["window"], w)
        said = page.run("(() => { const p = document.querySelector('.top .statement'), b = p.getBoundingClientRect(); scrollTo(0, 1e6); const c = p.getBoundingClientRect(); scrollTo(0, 0);"
                        " return p.checkVisibility() && b.height > 0 && c.top >= 0 && c.bottom <= innerHeight && p.textContent; })()")
        check("%s: the statement stays in sight at %d" % (where, width), said and "Research software. Not a medical device." in said, said)
    for dark in (False, True):
        page.size(1280, 900, dark=dark)
        c = page.run(CONTRAST)
        check("%s: contrast, %s" % (where, "dark" if dark else "light"), c["texts"] > 10 and not c["bad"], c)
    page.size(1280, 900)
    check(where + ": every control has a name", not names(page), names(page))
    tab_through(page, where)


def reading(page):
    text = page.run(SHADOW + ".querySelector('.reading-out').textContent")
    m = re.match(r"(\d+) ms(?: · ([\d.]+)/min)?(?: · ([−+]?)([\d.]+) mV)?", text)
    return (int(m[1]), float(m[2]) if m[2] else None, float(m[4]) * (-1 if m[3] == "−" else 1), text) if m else (None, None, None, text)


def press(page, words, root=SHADOW):
    page.run("[...%s.querySelectorAll('button')].find((b) => b.textContent === %s).click()" % (root, json.dumps(words)))


def start(page):
    page.go(url)
    check("the page comes up", page.wait("!!document.querySelector('#files')"))
    check("the page says what the model is", page.run("document.querySelector('.about').textContent.includes('diagnoses')"))
    check("a synthetic model says so", page.run("document.getElementById('synthetic').checkVisibility()"))


def upload(page):
    files = sorted(os.path.join(folder, f) for f in os.listdir(folder) if f.endswith((".hea", ".dat")))
    recordings = len(files) // 2
    page.choose("#files", files)
    check("several recordings at once: a row each", page.wait("document.querySelectorAll('tbody tr').length === %d" % recordings), page.run("document.body.innerText"))
    check("uploads that went well leave the list", page.wait("!document.querySelector('.jobs li')"), page.run("document.querySelector('.jobs')?.innerText"))
    bad = os.path.join(scratch, "hostile<img src=x onerror=alert(1)>.hea")
    with open(bad, "w") as f:
        f.write("<b>no header</b>\n")
    page.choose("#files", [bad])
    check("an unreadable file stands with the server's words", page.wait("(document.querySelector('.jobs .bad')?.textContent.length || 0) > 40 && !document.querySelector('.jobs .bad img, .jobs .bad b b')"),
          page.run("document.querySelector('.jobs')?.innerHTML"))
    large = os.path.join(scratch, "large.dat")
    with open(large, "wb") as f:
        f.truncate(3000000)
    before = len(page.requests)
    page.choose("#files", [large])
    check("a large file is refused with the limit", page.wait("/large.dat is not sent: 2.9 MB.* 1.0 MB/.test(document.querySelector('#errors').textContent)"), page.run("document.querySelector('#errors').textContent"))
    check("and is not sent", not any("/api/predict" in r for r in page.requests[before:]), page.requests[before:])
    press(page, "Dismiss", "document.querySelector('#errors')")
    check("a message can be put away", page.run("!document.querySelector('#errors').textContent"))
    return recordings


def pick(page, recordings):
    page.run("document.querySelector('details summary').click()")
    check("the folder is listed", page.wait("document.querySelectorAll('#records option').length >= %d" % recordings))
    page.run("document.querySelectorAll('#records option')[0].selected = true")
    press(page, "Open the chosen", "document")
    check("a recording of the folder opens", page.wait(RESULT), page.run("document.querySelector('main').innerText"))
    check("its page has three columns", page.run(SHADOW + ".querySelectorAll('.columns section').length >= 3"))
    page.go(url)
    page.wait("document.querySelectorAll('tbody tr').length === %d" % (recordings + 1))


def sort(page):
    heads = page.run("document.querySelectorAll('th[aria-sort] button').length")
    check("every column of figures or words sorts", heads == 9, heads)
    for at in range(heads):
        seen = []
        for _ in range(2):
            page.run("document.querySelectorAll('th[aria-sort] button')[%d].focus()" % at)
            page.key("Enter")
            how = page.run("document.querySelectorAll('th[aria-sort]')[%d].getAttribute('aria-sort')" % at)
            column = page.run("[...document.querySelectorAll('tbody tr')].map((r) => r.cells[%d].textContent)" % (at + 1))
            known = [c for c in column if c != "–"]
            values = [0.05 if c == "<0.1 %" else float(c.split()[0]) for c in known] if known and all(re.match(r"^(<0.1|[\d.]+)( %)?$", c) for c in known) else None
            if values:
                check("column %d is %s" % (at, how), values == sorted(values, reverse=how == "descending"), values)
            check("column %d: what is not known comes last" % at, column[:len(known)] == known, column)
            seen.append(how)
        check("column %d turns round" % at, sorted(seen) == ["ascending", "descending"], seen)
    check("one column is sorted at a time", page.run("document.querySelectorAll('th[aria-sort]:not([aria-sort=none])').length") == 1)
    names_down = page.run("[...document.querySelectorAll('tbody th a')].map((a) => a.textContent)")
    page.run("(() => { const f = document.querySelector('#find'); f.value = %s; f.dispatchEvent(new Event('input')); })()" % json.dumps(names_down[0]))
    left = page.run("[...document.querySelectorAll('tbody th a')].map((a) => a.textContent)")
    check("the filter keeps what fits", left and set(left) == {names_down[0]}, left)
    page.run("(() => { const f = document.querySelector('#find'); f.value = ''; f.dispatchEvent(new Event('input')); })()")


def calipers(page):
    write_known("known")
    page.choose("#files", [os.path.join(scratch, "known.hea"), os.path.join(scratch, "known.dat")])
    check("a single upload opens its page", page.wait(RESULT), page.run("document.querySelector('main').innerText"))
    page.size(1280, 900)
    for zoom in (1, 2):
        page.run(SHADOW + ".querySelector('[data-strip=rhythm]').scrollIntoView({block: 'center'}), %s.querySelector('.ecg').scrollLeft = 0" % SHADOW)
        view = page.run("(() => { const svg = %s.querySelector('svg[data-speed]'), b = svg.getBoundingClientRect(), v = svg.viewBox.baseVal, g = svg.querySelector('[data-strip=rhythm]');"
                        " return {left: b.left, top: b.top, scale: b.width / v.width, d: g.querySelector('path').getAttribute('d'), level: +g.dataset.level, pulse: svg.querySelector('[data-pulse] path').getAttribute('d'),"
                        " speed: +svg.dataset.speed, gain: +svg.dataset.gain}; })()" % SHADOW)
        px = lambda p: (view["left"] + p[0] * view["scale"], view["top"] + p[1] * view["scale"])
        peaks = [p for p in trace(view["d"]) if p[1] < view["level"] - 0.95 * 1.2 * view["gain"]]
        check("beats are found in the drawing", len(peaks) >= 10, len(peaks))
        if zoom == 1:
            check("100 % is 96 pixels to 25.4 mm", abs(view["scale"] - 96 / 25.4) < 0.01, view["scale"])
            press(page, "Calipers")
        a, b = peaks[1], peaks[2]
        page.drag(*px(a), *px(b))
        ms, rate, _, text = reading(page)
        check("750 ms between beats at zoom %d" % zoom, ms and abs(ms - 750) <= 7.5, text)
        check("80 a minute at zoom %d" % zoom, rate and abs(rate - 80) <= 0.8, text)
        page.drag(*px((a[0] - 3, view["level"])), *px(a))
        mv, text = reading(page)[2:]
        check("1.2 mV from the line to the peak at zoom %d" % zoom, mv is not None and abs(mv - 1.2) <= 0.012, text)
        pulse = trace(view["pulse"])[-6:]  # that of the lowest row
        foot, top = pulse[1], pulse[3]
        page.drag(*px(foot), *px(top))
        ms, _, mv, text = reading(page)
        check("the pulse measures 200 ms and 1 mV at zoom %d" % zoom, ms and abs(ms - 200) <= 2 and abs(mv - 1) <= 0.01, text)
        if zoom == 1:
            press(page, "+")
            press(page, "+")
            press(page, "+")
            check("zoom is stated", page.run(SHADOW + ".querySelector('.zoom').textContent") == "200 % of true size", page.run(SHADOW + ".querySelector('.zoom').textContent"))
    by_keys(page)


def by_keys(page):
    press(page, "1:1")
    page.run(SHADOW + ".querySelector('.cal-b').focus()")
    before = reading(page)
    page.key("ArrowRight")
    after = reading(page)
    check("an arrow key moves 10 ms", after[0] - before[0] == 10, (before, after))
    page.key("ArrowRight", shift=True)
    check("with Shift 1 ms", reading(page)[0] - after[0] == 1, reading(page))
    page.key("ArrowUp")
    page.key("ArrowUp", shift=True)
    check("up 0.05 and 0.01 mV", abs(reading(page)[2] - before[2] - 0.06) < 0.0051, (before, reading(page)))
    ms = reading(page)[0]
    page.run(SHADOW + ".querySelector('.cal-both').focus()")
    page.key("ArrowRight")
    check("both together keep the interval", reading(page)[0] == ms, reading(page))
    told = page.run(SHADOW + ".querySelector('.cal-a').getAttribute('aria-valuetext')")
    check("a handle says where it is", re.match(r"at -?\d+ ms, \d+ ms", told), told)
    press(page, "March")
    check("the interval marches over the paper", page.run("(%s.querySelector('.cal-march').getAttribute('d').match(/M/g) || []).length" % SHADOW) >= 10)
    page.run(SHADOW + ".querySelector('.cal-a').focus()")
    page.key("Escape")
    check("Escape puts the calipers away and gives the focus back", page.run(SHADOW + ".activeElement.textContent") == "Calipers" and not page.run(SHADOW + ".querySelector('.reading-out').textContent"))


def layouts(page):
    for words, value, width, speed in (("Layout", "6x2", 270, 25), ("Layout", "12x1", 270, 25), ("Layout", "cabrera", 270, 25), ("Speed", "50", 275, 50)):
        page.run("(() => { const s = [...document.querySelectorAll('.bar label')].find((l) => l.textContent.startsWith('%s')).querySelector('select'); s.value = '%s'; s.dispatchEvent(new Event('change')); })()" % (words, value))
        fits = page.wait("(() => { const t = %s.querySelector('svg[data-speed]'); return location.hash.includes('=%s') && t && t.viewBox.baseVal.width === %d && +t.dataset.speed === %d && t.querySelector('title').textContent.includes(%s); })()"
                         % (SHADOW, value, width, speed, json.dumps("cabrera" if words == "Speed" else value)))
        check("%s %s is drawn, and is in the address" % (words, value), fits, page.run("location.hash"))
        check("%s %s keeps true millimetres" % (words, value), abs(page.run(SHADOW + ".querySelector('svg[data-speed]').getBoundingClientRect().width") - width * 96 / 25.4) < 1)


def paper(page):
    page.run("fetch('/api/results').then((r) => r.json()).then((j) => { location.hash = '#/result/' + j.results.find((r) => r.name !== 'known.hea').id; })")
    check("another recording, in the usual layout", page.wait("/3x4/.test(document.querySelector('.sheet')?.shadowRoot?.querySelector('svg[data-speed] title')?.textContent) && !document.title.startsWith('known') && " + RESULT))
    page.size(360, 740, dark=True)
    press(page, "+")
    press(page, "Calipers")
    pdf = os.path.join(scratch, "sheet.pdf")
    page.pdf(pdf)
    data = open(pdf, "rb").read()
    sheets = lambda pdf: len(re.findall(rb"/Type */Page\b(?!s)", pdf))
    check("A4 on its side", re.search(rb"MediaBox \[0 0 84[12][\d.]* 59[45]", data))
    shown = page.run("location.hash")
    page.size(1280, 900)
    page.go(url + "api/results/" + shown.split("/")[2] + ".html")
    page.wait("!!document.querySelector('svg[data-speed]')")
    page.pdf(pdf + ".file")
    page.faults = [f for f in page.faults if not f.endswith("/favicon.ico")]  # the file alone names no icon, so the browser asks for one
    alone = open(pdf + ".file", "rb").read()
    check("printed from a dark telephone with zoom: as many sheets as the file itself", sheets(data) == sheets(alone) > 0, (sheets(data), sheets(alone)))
    page.go(url + shown)
    page.wait(RESULT)
    try:
        subprocess.run(["pdftoppm", "-r", "254", "-singlefile", pdf, os.path.join(scratch, "sheet")], check=True)
        grid = subprocess.run(["/usr/bin/python3", os.path.join(os.path.dirname(os.path.abspath(__file__)), "page_grid.py"), os.path.join(scratch, "sheet.ppm")], capture_output=True, text=True)
        told = re.findall(r"over ([\d.]+) mm; +(\d+) of (\d+) gaps", grid.stdout)  # across, down; how far down depends on the head
        check("5 mm of grid are 5 mm of paper", len(told) == 2 and float(told[0][0]) > 250 and float(told[1][0]) > 50 and all(good == gaps for _, good, gaps in told), grid.stdout + grid.stderr)
    except (OSError, subprocess.CalledProcessError):
        print("skip no pdftoppm: millimetres of the print are not measured")


def compare(page, rows):
    page.go(url)
    page.wait("document.querySelectorAll('tbody tr').length === %d" % rows)
    page.run("[...document.querySelectorAll('tbody input')].slice(1, 3).forEach((b) => b.click())")
    press(page, "Compare two", "document")
    check("two recordings side by side", page.wait("document.querySelectorAll('.pair svg[data-speed]').length === 2 && !!document.querySelector('.toolplace button')"), page.run("document.querySelector('main').innerText"))
    signs = page.run("[...document.querySelectorAll('main table tbody tr')].slice(0, 5).map((r) => r.cells[4].textContent)")
    sizes = [abs(float(re.sub("[^0-9.]", "", s))) for s in signs if re.search(r"\d", s)]
    check("differences, the largest first", len(sizes) == 5 and sizes == sorted(sizes, reverse=True), signs)
    press(page, "Calipers", "document")
    check("calipers on both", page.run("document.querySelector('.reading-out').textContent.match(/[AB]: \\d+ ms/g)?.length") == 2, page.run("document.querySelector('.reading-out').textContent"))
    press(page, "Calipers", "document")
    look(page, "compare")


def remove(page, rows):
    page.go(url)
    page.wait("document.querySelectorAll('tbody tr').length === %d" % rows)
    downloads = os.path.join(scratch, "saved")
    page.call("Page.setDownloadBehavior", behavior="allow", downloadPath=downloads)
    for words, name in (("CSV", "results.csv"), ("JSON", "results.json"), ("Pages (zip)", "results.zip")):
        press(page, words, "document")
        path = os.path.join(downloads, name)
        until = page.wait("new Promise((f) => setTimeout(() => f(false), 200))", 0.1)
        for _ in range(200):
            if os.path.exists(path) and os.path.getsize(path):
                break
            until = page.wait("new Promise((f) => setTimeout(() => f(false), 100))", 0.05) or until
        check(words + " of all is saved", os.path.exists(path), os.listdir(downloads) if os.path.isdir(downloads) else "nothing")
    import csv
    import zipfile
    with open(os.path.join(downloads, "results.csv"), newline="") as f:
        table = list(csv.DictReader(f))
    check("a line per result", len(table) == rows, len(table))
    with open(os.path.join(downloads, "results.json")) as f:
        check("a prediction per result", [p.get("schema") for p in json.load(f)] == ["ecgraft.prediction/1"] * rows)
    archive = zipfile.ZipFile(os.path.join(downloads, "results.zip"))
    check("a page per result, in an archive that holds", archive.testzip() is None and len(archive.namelist()) == rows and all(archive.read(n).startswith(b"<!DOCTYPE html>") for n in archive.namelist()), archive.namelist())
    page.run("document.querySelector('tbody tr .acts button').click()")
    check("a result is deleted", page.wait("document.querySelectorAll('tbody tr').length === %d" % (rows - 1)))
    page.go(url + "#/result/0000000000000000")
    check("a result that is not there: words, and the way back", page.wait("/Nothing to show/.test(document.querySelector('main').innerText) && !!document.querySelector('main a[href=\"#/\"]')"))
    check("the server said no once, and nothing else went wrong", [f for f in page.faults if "404" not in f] == [] and len(page.faults) <= 2, page.faults)


def colours(page):
    ground = lambda: page.run("getComputedStyle(document.body).backgroundColor")
    page.size(1280, 900)
    light = ground()
    page.run("(() => { const t = document.querySelector('#theme'); t.value = 'dark'; t.dispatchEvent(new Event('change')); })()")
    dark = ground()
    page.go(url)
    page.wait("!!document.querySelector('#files')")
    check("the switch turns the page dark, and it stays so", dark != light and ground() == dark, (light, dark, ground()))
    page.run("(() => { const t = document.querySelector('#theme'); t.value = ''; t.dispatchEvent(new Event('change')); })()")
    check("and back", ground() == light)


def refused(page):
    write_known("flat", 0)
    page.go(url)
    page.wait("!!document.querySelector('#files')")
    page.choose("#files", [os.path.join(scratch, "flat.hea"), os.path.join(scratch, "flat.dat")])
    check("a recording that the model refuses opens too", page.wait(RESULT), page.run("document.querySelector('main').innerText"))
    check("with the reason and without a claim", page.run("/No claims are made for this recording/.test(%s.querySelector('[role=alert]').textContent) && !%s.querySelector('.verdict')" % (SHADOW, SHADOW)))
    page.go(url + "#/")
    check("and stands in the table as refused", page.wait("/refused/.test([...document.querySelectorAll('tbody tr')].find((r) => r.cells[1].textContent === 'flat.hea')?.cells[3].textContent)"))


def main():
    page = browser.Page(scratch)
    try:
        start(page)
        recordings = upload(page)
        pick(page, recordings)
        sort(page)
        look(page, "start")
        calipers(page)
        press(page, "Calipers")
        look(page, "result")
        layouts(page)
        paper(page)
        colours(page)
        compare(page, recordings + 2)
        check("no error, no warning on the console", page.faults == [], page.faults)
        remove(page, recordings + 2)
        refused(page)
        host = urllib.parse.urlsplit(url).netloc
        others = [r for r in page.requests if urllib.parse.urlsplit(r).netloc != host and not r.startswith(("data:", "blob:%s" % url.rstrip("/"), "about:"))]
        check("no request to any other host, of %d" % len(page.requests), len(page.requests) > 20 and not others, others)
    finally:
        page.close()
    print("%d passed, %d failed" % (passed, failed))


main()
