// Nothing here is needed: it copies, sorts a table and tells times in the reader's zone.
"use strict";

// Copy buttons beside what is to be pasted.
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = button.parentElement.querySelector("pre").textContent;
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  });
}

// A link to this view is copied too; it still leads there.
for (const link of document.querySelectorAll("[data-copy-link]")) {
  link.addEventListener("click", async (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || !navigator.clipboard) return;
    event.preventDefault();
    history.replaceState(null, "", link.href);
    const said = document.querySelector("[data-copy-said]");
    try {
      await navigator.clipboard.writeText(link.href);
      said.textContent = "Copied; it is the address now.";
    } catch {
      said.textContent = "It is the address now.";
    }
  });
}

// Times in the reader's zone, and back.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const times = [...document.querySelectorAll("time[datetime]")];
const toggle = document.querySelector("[data-zone-toggle]");
if (toggle && zone && zone !== "UTC" && times.length > 0) {
  const shown = times.map((time) => time.textContent);
  const local = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "short", timeZone: zone });
  const show = (own) => {
    times.forEach((time, at) => {
      time.textContent = own ? `${local.format(new Date(time.dateTime))} ${zone}` : shown[at];
    });
    toggle.textContent = own ? "show them in UTC" : "show them in your time zone";
    try {
      localStorage.setItem("zone", own ? "own" : "utc");
    } catch {
      // Without storage it holds for this page.
    }
  };
  let own = false;
  try {
    own = localStorage.getItem("zone") === "own";
  } catch {
    // As above.
  }
  toggle.closest("[hidden]").hidden = false;
  if (own) show(true);
  toggle.addEventListener("click", () => {
    own = !own;
    show(own);
  });
}

// A column's heading sorts by it.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const body = table.tBodies[0];
  const value = (row, at) => row.cells[at].textContent.trim();
  const number = (text) => Number.parseFloat(text.replaceAll(",", "").replace("\u2212", "-"));
  [...table.tHead.rows[0].cells].forEach((heading, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [value(a, at), value(b, at)];
        if (at === 0) return x.localeCompare(y);
        // What has no number stays at the end.
        return (number(x) || 0) - (number(y) || 0);
      });
      body.append(...(down ? rows.reverse() : rows));
    });
  });
}
