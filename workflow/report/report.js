"use strict";
/* Tables can be sorted and filtered, long ones show their first rows; without scripts the page
   shows everything. */
(() => {
  const SHOWN = 12;
  const FILTERED = 8;

  const number = (text) => {
    const found = text.replace(/\u2212/g, "-").replace(/,/g, "").match(/^[<>\s]*(-?\d+(?:\.\d+)?)/);
    return found ? Number(found[1]) : NaN;
  };

  const compare = (a, b) => {
    const x = number(a), y = number(b);
    if (!Number.isNaN(x) && !Number.isNaN(y)) return x - y;
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    return a.localeCompare(b);
  };

  const prepare = (table) => {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const state = { text: "", all: rows.length <= SHOWN + 3 };
    if (rows.length < 2) return;

    const show = () => {
      let left = state.all || state.text ? Infinity : SHOWN;
      let hidden = 0;
      for (const row of body.rows) {
        const wanted = row.textContent.toLowerCase().includes(state.text);
        row.hidden = !wanted || left-- <= 0;
        row.classList.toggle("alone", state.text !== "");
        if (row.hidden && wanted) hidden += 1;
      }
      if (more) {
        more.hidden = hidden === 0;
        more.textContent = `Show all ${rows.length} rows`;
      }
    };

    let more = null;
    const block = table.closest(".block");
    if (!state.all) {
      more = document.createElement("button");
      more.type = "button";
      more.className = "more";
      more.addEventListener("click", () => { state.all = true; show(); });
      block.querySelector(".scroll").after(more);
    }
    if (rows.length >= FILTERED) {
      const label = document.createElement("label");
      label.className = "filter";
      label.textContent = "Rows with ";
      const input = document.createElement("input");
      input.type = "search";
      input.addEventListener("input", () => { state.text = input.value.trim().toLowerCase(); show(); });
      label.append(input);
      block.prepend(label);
    }
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        table.classList.add("sorted");
        const text = (row) => row.cells[column].textContent;
        rows.sort((a, b) => (down ? -1 : 1) * compare(text(a), text(b)));
        body.append(...rows);
        show();
      });
    });
    show();
  };

  const cue = (part) => {
    const said = document.createElement("p");
    said.className = "cue";
    said.textContent = "Wider than the window: scroll sideways for the rest.";
    said.hidden = true;
    part.before(said);
    new ResizeObserver(() => { said.hidden = part.scrollWidth <= part.clientWidth + 1; }).observe(part);
  };

  const unfold = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const fold = target && target.closest("details");
    if (fold && !fold.open) {
      fold.open = true;
      target.scrollIntoView();
    }
  };

  document.querySelectorAll("table[data-rows]").forEach(prepare);
  document.querySelectorAll(".scroll").forEach(cue);
  addEventListener("hashchange", unfold);
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((fold) => { fold.open = true; });
  });
  unfold();
})();
