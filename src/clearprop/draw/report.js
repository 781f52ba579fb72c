/* The script of the report: everything can be read without it. Written without the characters that XML reserves. */
(() => {
  const $ = (root, selector) => [...root.querySelectorAll(selector)];
  const make = (name, className, text) => Object.assign(document.createElement(name), { className, textContent: text });
  const page = document.querySelector("body.report");

  /* values under the pointer: the title of a mark, or of a plot the values of its lines */
  const tip = make("div", "tip", "");
  tip.hidden = true;
  page.append(tip);
  const show = (text, event) => {
    tip.hidden = text === "";
    tip.textContent = text;
    const left = Math.min(event.pageX + 14, page.scrollWidth - tip.offsetWidth - 4);
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${event.pageY + 16}px`;
  };
  const short = (value) => Number(value.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });
  const points = (line) => line.getAttribute("d").slice(1).split(/[ML]/).map((pair) => pair.split(" ").map(Number));
  const value = (pixel, [start, end, low, high, log]) => {
    const share = (pixel - start) / (end - start);
    return log ? low * (high / low) ** share : low + (high - low) * share;
  };
  const reading = (svg, event) => {
    const axes = svg.dataset.coordinates.split(" ").map(Number);
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const lines = $(svg, "path[data-name]").map((line) => {
      const near = points(line).reduce((a, b) => (Math.abs(b[0] - at.x) > Math.abs(a[0] - at.x) ? a : b));
      return [line.dataset.name, near];
    });
    if (lines.length === 0) return "";
    const x = short(value(lines[0][1][0], axes.slice(0, 5)));
    return [$(svg, ".title.mid").map((title) => `${title.textContent}: ${x}`).join("")].concat(
      lines.map(([name, near]) => `${name}: ${short(value(near[1], axes.slice(5)))}`)).join("\n");
  };
  page.addEventListener("pointermove", (event) => {
    const mark = event.target.closest("svg *");
    const title = mark ? [...mark.children].find((child) => child.tagName === "title") : null;
    if (title) {
      mark.dataset.tip = title.textContent;
      title.remove();
    }
    const svg = event.target.closest("svg[data-coordinates]");
    const own = mark ? mark.closest("[data-tip]") : null;
    const lined = svg ? reading(svg, event) : "";
    show(lined === "" ? (own ? own.dataset.tip : "") : lined, event);
  });

  /* tables: sort by a click on a head, copy as CSV */
  const superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const number = (text) => {
    const plain = text.replace(/[⁰¹²³⁴⁵⁶⁷⁸⁹]/g, (c) => superscripts.indexOf(c)).replace(/[,%+]/g, "")
      .replace(/[−⁻]/g, "-").replace("×10", "e");
    return plain === "" ? NaN : Number(plain);
  };
  const text = (cell) => cell.textContent.trim();
  const order = (column, sign) => (a, b) => {
    const [s, t] = [text(a.cells[column]), text(b.cells[column])];
    const difference = number(s) - number(t);
    return sign * (Number.isNaN(difference) ? s.localeCompare(t) : difference);
  };
  const quoted = (cell) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  $(page, ".table").forEach((box) => {
    const table = box.querySelector("table");
    const [body] = table.tBodies;
    $(table, "thead th").forEach((head, column, all) => {
      head.setAttribute("aria-sort", "none");
      head.tabIndex = 0;
      const sort = () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        all.forEach((other) => other.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        body.append(...[...body.rows].sort(order(column, down ? -1 : 1)));
      };
      head.addEventListener("click", sort);
      head.addEventListener("keydown", (event) => (event.key === "Enter" ? sort() : null));
    });
    const button = make("button", "copy", "copy as CSV");
    button.addEventListener("click", async (event) => {
      event.preventDefault();
      const rows = [...table.rows].map((row) => [...row.cells].map((cell) => quoted(text(cell))).join(","));
      await navigator.clipboard.writeText(rows.join("\n"));
      button.textContent = "copied";
      setTimeout(() => (button.textContent = "copy as CSV"), 1500);
    });
    (box.querySelector("summary, h3") || box).append(button);
  });

  /* the threshold: moves the marks, the confusion matrix, precision, recall and cost */
  const percent = (share) => (Number.isFinite(share) ? `${(100 * share).toFixed(1).replace(".0", "")}%` : "–");
  $(page, ".threshold").forEach((panel) => {
    const data = JSON.parse(panel.dataset.thresholds);
    const slider = panel.querySelector("input[type=range]");
    const [ofPositive, ofNegative] = ["positive", "negative"].map((kind) => panel.querySelector(`input.${kind}`));
    const marks = $(panel.parentElement, ".moving").map((mark) => [mark, mark.closest("svg").dataset.coordinates.split(" ").map(Number)]);
    const cost = (i) => data.fp[i] * ofPositive.value + (data.positive - data.tp[i]) * ofNegative.value;
    const move = ([mark, axes], x, y) => {
      if (!Number.isFinite(y)) return;
      mark.setAttribute("cx", axes[0] + (axes[1] - axes[0]) * x);
      mark.setAttribute("cy", axes[5] + (axes[6] - axes[5]) * y);
    };
    const update = () => {
      const i = Number(slider.value);
      const [tp, fp] = [data.tp[i], data.fp[i]];
      const [fn, tn] = [data.positive - tp, data.negative - fp];
      const best = data.at.reduce((a, _, k) => (cost(a) > cost(k) ? k : a), 0);
      const shown = {
        at: String(data.at[i]), tp, fp, fn, tn, precision: percent(tp / (tp + fp)), recall: percent(tp / (tp + fn)),
        F1: percent(2 * tp / (2 * tp + fp + fn)), accuracy: percent((tp + tn) / (tp + fp + fn + tn)),
        cost: cost(i), cheapest: ` (least: ${short(cost(best))} at ${data.at[best]})`,
      };
      $(panel, "[data-shows]").forEach((place) => {
        const found = shown[place.dataset.shows];
        place.textContent = typeof found === "number" ? found.toLocaleString("en") : found;
      });
      if (marks.length > 0) move(marks[0], fp / data.negative, tp / data.positive);
      if (marks.length > 1) move(marks[1], tp / data.positive, tp / (tp + fp));
    };
    $(panel, ".scripted").forEach((part) => part.classList.add("on"));
    $(panel, "input").forEach((input) => input.addEventListener("input", update));
    update();
  });

  /* the contents: where the reader is */
  const links = new Map($(page, "nav a").map((link) => [link.hash.slice(1), link]));
  const watcher = new IntersectionObserver((entries) => entries.forEach((entry) => {
    const link = links.get(entry.target.id);
    if (entry.isIntersecting) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }), { rootMargin: "-30% 0px -60% 0px" });
  $(page, "section").forEach((section) => watcher.observe(section));
})();
