// The sample browser of a report: reads the data in this file, and writes text as text only (textContent).
"use strict";
(() => {
  const ROW_HEIGHT = 58; // px, as in page.css
  const OVERSCAN = 6; // rows drawn above and below what is seen
  const TEXT_CAP = 20000; // characters of a field shown at once
  const TOKEN_CAP = 1500; // tokens of an item shown at once
  const BLOCKS_KEPT = 6; // unpacked blocks in memory
  const GLYPHS = { r: ["✓", "right"], w: ["✗", "wrong"], u: ["?", "no answer found"], "-": ["·", "not asked"] };
  const LETTERS = { right: "r", wrong: "w", unparsed: "u" };
  // controls, invisible and direction signs, lone surrogates, and what only looks like a space
  const HIDDEN =
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|\udb40[\udc00-\udfff]/g;

  const byId = (id) => document.getElementById(id);

  // ---- elements -------------------------------------------------------------------------------------------------

  function element(tag, options = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(options)) {
      if (name === "class") made.className = value;
      else if (name === "click") made.addEventListener("click", value);
      else made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  function codePoint(sign) {
    return "U+" + sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
  }

  // Adds a text; signs that cannot be seen are named, the rest is left as it is.
  function addText(parent, text) {
    let from = 0;
    for (const match of text.matchAll(HIDDEN)) {
      if (match.index > from) parent.append(text.slice(from, match.index));
      parent.append(element("span", { class: "sign", title: "a sign that cannot be seen" }, codePoint(match[0])));
      from = match.index + match[0].length;
    }
    if (from < text.length) parent.append(text.slice(from));
  }

  function visible(text) {
    return text.replace(HIDDEN, (sign) => `⟨${codePoint(sign)}⟩`);
  }

  // A text in an element of its own, cut where it is very long; what is left comes on demand.
  function textElement(tag, text, className = "text") {
    const made = element(tag, { class: className, dir: "auto" });
    addCapped(made, text, TEXT_CAP, (rest) => addText(made, rest), "characters");
    return made;
  }

  function addCapped(parent, whole, cap, add, what) {
    let cut = Math.min(cap, whole.length);
    if (typeof whole === "string" && cut < whole.length && /[\ud800-\udbff]/.test(whole[cut - 1])) cut -= 1;
    add(whole.slice(0, cut));
    if (whole.length <= cut) return;
    const more = element("button", { type: "button", class: "more" });
    more.textContent = `… ${(whole.length - cut).toLocaleString("en")} more ${what}: show them`;
    more.addEventListener("click", () => {
      more.remove();
      add(whole.slice(cut));
    });
    parent.append(more);
  }

  function glyph(letter, label = "") {
    const [sign, words] = GLYPHS[letter];
    const told = label ? `${label}: ${words}` : words;
    return element("span", { class: `verdict ${words.split(" ")[0]}`, title: told },
      element("span", { "aria-hidden": "true" }, sign),
      element("span", { class: "unseen" }, told),
    );
  }

  // ---- data -----------------------------------------------------------------------------------------------------

  async function unpack(id) {
    const packed = atob(byId(id).textContent.trim());
    const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  const blocks = new Map(); // number → promise of { pieces, samples }, the last used at the end

  function block(number) {
    const found = blocks.get(number) ?? unpack(`block-${number}`);
    blocks.delete(number);
    blocks.set(number, found);
    if (blocks.size > BLOCKS_KEPT) blocks.delete(blocks.keys().next().value);
    return found;
  }

  async function body(sample) {
    const { pieces, samples } = await block(Math.floor(sample / index.block_size));
    return { pieces, ...samples[sample % index.block_size] };
  }

  let index; // what the list, the filters and the search need of every sample
  let shown = []; // numbers of the samples in the list, in its order
  let current = -1; // number of the open sample
  let comparing = false;
  let chosenCuts = null; // the boundaries last chosen by name
  let searching = 0; // grows with every search, so that an older one gives up
  let matches = null; // samples that the search has found, null: no search

  const ui = Object.fromEntries(
    [
      "search", "everywhere", "split", "first", "second", "show", "steps", "skips", "flips", "list", "rows", "space",
      "status", "sample", "help", "samples", "compare", "reset",
    ].map((name) => [name, byId(`browser-${name}`)]),
  );

  const verdict = (method, sample) => index.verdicts[method][sample];

  // ---- list -----------------------------------------------------------------------------------------------------

  function isFlip(sample) {
    const [one, other] = [verdict(+ui.first.value, sample), verdict(+ui.second.value, sample)];
    return one !== "-" && other !== "-" && (one === "r") !== (other === "r");
  }

  const SHOW = {
    all: () => true,
    wrong: (one) => one !== "r" && one !== "-",
    right: (one) => one === "r",
    flips: (one, other, sample) => isFlip(sample),
    gained: (one, other, sample) => isFlip(sample) && other === "r",
    lost: (one, other, sample) => isFlip(sample) && one === "r",
  };
  const SKIPS = { all: () => true, some: (n) => n > 0, none: (n) => n === 0 };

  function filter() {
    const [one, other] = [+ui.first.value, +ui.second.value];
    const wanted = index.verdicts.length ? SHOW[ui.show.value] : SHOW.all;
    const { split, steps, skips } = { split: ui.split.value, steps: ui.steps.value, skips: ui.skips.value };
    shown = [];
    for (let sample = 0; sample < index.ids.length; sample++) {
      if (split !== "all" && index.splits[sample] !== +split) continue;
      if (steps !== "all" && index.steps[sample] !== +steps) continue;
      if (skips !== "all" && (index.skips[sample] === null || !SKIPS[skips](index.skips[sample]))) continue;
      if (matches !== null && !matches.has(sample)) continue;
      if (index.verdicts.length && !wanted(verdict(one, sample), verdict(other, sample), sample)) continue;
      shown.push(sample);
    }
    if (ui.flips.checked && index.verdicts.length) {
      const first = shown.filter(isFlip);
      const taken = new Set(first);
      shown = first.concat(shown.filter((sample) => !taken.has(sample)));
    }
    const count = `${shown.length.toLocaleString("en")} of ${index.ids.length.toLocaleString("en")} samples`;
    ui.status.textContent = count;
    ui.space.style.height = `${shown.length * ROW_HEIGHT}px`;
    ui.list.scrollTop = 0;
    draw();
  }

  function draw() {
    const first = Math.max(0, Math.floor(ui.list.scrollTop / ROW_HEIGHT) - OVERSCAN);
    const seen = Math.ceil(ui.list.clientHeight / ROW_HEIGHT) + 2 * OVERSCAN;
    const rows = [];
    for (let place = first; place < Math.min(shown.length, first + seen); place++) rows.push(row(place));
    ui.rows.replaceChildren(...rows);
    ui.rows.style.transform = `translateY(${first * ROW_HEIGHT}px)`;
    const active = current >= 0 ? byId(`row-${current}`) : null;
    if (active) ui.list.setAttribute("aria-activedescendant", active.id);
    else ui.list.removeAttribute("aria-activedescendant");
  }

  function row(place) {
    const sample = shown[place];
    const made = element("div", {
      class: "row",
      id: `row-${sample}`,
      role: "option",
      "aria-selected": String(sample === current),
      "aria-posinset": place + 1,
      "aria-setsize": shown.length,
      click: () => open(sample),
    });
    const name = element("span", { class: "row-id", dir: "auto" });
    addText(name, index.ids[sample].slice(0, 200));
    const verdicts = element("span", { class: "row-verdicts" });
    index.verdicts.forEach((letters, method) => {
      if (letters[sample] !== "-") verdicts.append(glyph(letters[sample], visible(methodName(method))));
    });
    const question = element("span", { class: "row-question", dir: "auto" });
    addText(question, index.questions[sample].slice(0, 200));
    made.append(name, verdicts, question);
    return made;
  }

  function keepInView() {
    const place = shown.indexOf(current);
    if (place < 0) return;
    const [top, bottom] = [place * ROW_HEIGHT, (place + 1) * ROW_HEIGHT];
    if (top < ui.list.scrollTop) ui.list.scrollTop = top;
    else if (bottom > ui.list.scrollTop + ui.list.clientHeight) ui.list.scrollTop = bottom - ui.list.clientHeight;
    draw();
  }

  function move(by) {
    if (!shown.length) return;
    const place = shown.indexOf(current);
    const next = place < 0 ? 0 : Math.min(shown.length - 1, Math.max(0, place + by));
    open(shown[next]);
  }

  function nextWrong() {
    const isWrong = (sample) => "wu".includes(verdict(+ui.first.value, sample));
    if (!index.verdicts.length) return;
    const place = shown.indexOf(current);
    const found = shown.find((sample, at) => at > place && isWrong(sample)) ?? shown.find(isWrong);
    if (found === undefined) ui.status.textContent = `no sample in the list that ${methodName(+ui.first.value)} gets wrong`;
    else open(found);
  }

  // ---- search ---------------------------------------------------------------------------------------------------

  async function search() {
    const mine = ++searching;
    const wanted = ui.search.value.toLowerCase();
    if (!wanted) {
      matches = null;
      filter();
      return;
    }
    const found = new Set();
    for (let sample = 0; sample < index.ids.length; sample++) {
      const near = index.ids[sample] + "\n" + index.questions[sample];
      if (near.toLowerCase().includes(wanted)) found.add(sample);
    }
    if (ui.everywhere.checked) {
      for (let number = 0; number < index.n_blocks; number++) {
        // not through block(): a search over everything would throw out what is kept
        const { samples } = await (blocks.get(number) ?? unpack(`block-${number}`));
        if (mine !== searching) return;
        samples.forEach((one, at) => {
          if (textsOf(one).some((text) => text.toLowerCase().includes(wanted)))
            found.add(number * index.block_size + at);
        });
        ui.status.textContent = `searching: ${Math.round((100 * (number + 1)) / index.n_blocks)} %`;
      }
    }
    matches = found;
    filter();
  }

  function textsOf(one) {
    const outputs = one.outputs.filter(Boolean).flatMap((output) => [output.chain, output.answer ?? ""]);
    return [one.question, (one.steps ?? []).join("") || (one.rationale ?? ""), one.answer, ...outputs];
  }

  // ---- address --------------------------------------------------------------------------------------------------

  const methodName = (number) => index.methods[number].label;

  function address() {
    const parts = new URLSearchParams();
    if (current >= 0) {
      const id = index.ids[current];
      // an id that an address cannot hold, or that two samples share, is replaced by the number of the sample
      const isAlone = index.ids.indexOf(id) === index.ids.lastIndexOf(id);
      if (id.isWellFormed() && isAlone) parts.set("id", id);
      else parts.set("n", current);
    }
    if (comparing) {
      parts.set("a", methodName(+ui.first.value));
      parts.set("b", methodName(+ui.second.value));
    }
    return `#/samples?${parts}`;
  }

  function remember() {
    const now = address();
    if (location.hash !== now) history.replaceState(null, "", now);
  }

  function follow() {
    if (!location.hash.startsWith("#/samples")) return;
    const parts = new URLSearchParams(location.hash.split("?")[1] ?? "");
    const [a, b] = ["a", "b"].map((key) => index.methods.findIndex(({ label }) => label === parts.get(key)));
    comparing = a >= 0 && b >= 0;
    if (comparing) [ui.first.value, ui.second.value] = [a, b];
    ui.compare.setAttribute("aria-pressed", String(comparing));
    const sample = parts.has("id") ? index.ids.indexOf(parts.get("id")) : Number(parts.get("n") ?? -1);
    filter();
    if (index.ids[sample] !== undefined) open(sample);
    else if (parts.has("id") || parts.has("n")) ui.status.textContent = "this report has no sample of that address";
    ui.samples.scrollIntoView();
  }

  // ---- the open sample ------------------------------------------------------------------------------------------

  async function open(sample) {
    current = sample;
    remember();
    keepInView();
    const one = await body(sample);
    if (sample !== current) return; // another was opened meanwhile
    ui.sample.replaceChildren(...sampleParts(sample, one));
    ui.sample.scrollTop = 0;
  }

  function sampleParts(sample, one) {
    const title = textElement("h3", index.ids[sample], "sample-id");
    const buttons = element("p", { class: "buttons" },
      element("button", { type: "button", click: () => move(-1) }, "previous (k)"),
      element("button", { type: "button", click: () => move(1) }, "next (j)"),
      element("button", { type: "button", click: nextWrong }, "next wrong (n)"),
      element("button", { type: "button", click: () => save(sample, one) }, "save as JSON"),
    );
    const facts = [["split", index.split_names[index.splits[sample]]], ["gold answer", one.answer]];
    const parts = [title, buttons, factList(facts), section("Question", textElement("p", one.question))];
    parts.push(rationalePart(one), gatePart(one), outputsPart(one), itemsPart(one));
    return parts.filter(Boolean);
  }

  function factList(facts) {
    const made = element("dl", { class: "facts" });
    for (const [name, value] of facts) {
      made.append(textElement("dt", name, ""), textElement("dd", value ?? "none", ""));
    }
    return made;
  }

  function section(title, ...parts) {
    return element("section", {}, element("h4", {}, title), ...parts);
  }

  function rationalePart(one) {
    if (!one.steps) return one.rationale ? section("Rationale", textElement("p", one.rationale)) : null;
    const cuts = one.cuts ?? [];
    const text = element("p", { class: "text", dir: "auto" });
    if (!cuts.length) {
      chunkText(text, one, { boundaries: [0, one.steps.length] });
      return section("Rationale", text);
    }
    const select = element("select", { id: "browser-cuts" });
    cuts.forEach(({ of }, at) => select.append(element("option", { value: at }, visible(of))));
    const before = cuts.findIndex(({ of }) => of === chosenCuts);
    select.value = String(before < 0 ? cuts.length - 1 : before);
    select.addEventListener("change", () => {
      chosenCuts = cuts[+select.value].of;
      chunkText(text, one, cuts[+select.value]);
    });
    chunkText(text, one, cuts[+select.value]);
    const parts = [element("label", { class: "inline" }, "chunks of ", select), text];
    for (const { of, epoch } of one.losses ?? []) {
      const when = epoch === null ? "" : `, before epoch ${epoch + 1}`;
      const words = `The number behind a step is its loss under the stage of its chunk, in nats per token (${of}${when}).`;
      parts.push(element("p", { class: "legend" }, visible(words)));
    }
    return section("Rationale", ...parts, boundaryTable(one, cuts));
  }

  function chunkText(parent, one, cut) {
    const losses = (one.losses ?? []).find(({ of }) => of === cut.losses) ?? one.losses?.[0];
    const chunks = [];
    for (let chunk = 0; chunk + 1 < cut.boundaries.length; chunk++) {
      const [first, end] = [cut.boundaries[chunk], cut.boundaries[chunk + 1]];
      const skipped = cut.skipped?.[chunk] ?? false;
      const made = element("span", { class: `chunk tint-${chunk % 6}${skipped ? " skipped" : ""}` });
      const notes = [skipped ? "skipped" : "", first === end ? "empty" : ""].filter(Boolean).join(", ");
      if (cut.boundaries.length > 2)
        made.append(element("span", { class: "chunk-number" }, `${chunk + 1}${notes ? " " + notes : ""}`));
      for (let step = first; step < end; step++) made.append(stepElement(one.steps[step], losses?.steps[step], chunk));
      chunks.push(made);
    }
    parent.replaceChildren(...chunks);
  }

  function stepElement(text, losses, chunk) {
    const made = element("span", { class: "step", dir: "auto" });
    addCapped(made, text, TEXT_CAP, (rest) => addText(made, rest), "characters");
    if (losses) {
      const loss = losses[Math.min(chunk, losses.length - 1)];
      const shade = Math.min(9, Math.floor(3 * loss));
      made.append(element("span", { class: `loss shade-${shade}`, title: "loss, nats per token" }, loss.toFixed(2)));
    }
    return made;
  }

  // One row per way to cut, one cell per step: its chunk.
  function boundaryTable(one, cuts) {
    const head = element("tr", {}, element("th", { scope: "col" }, "chunk of step"));
    one.steps.forEach((_, step) => head.append(element("th", { scope: "col" }, String(step + 1))));
    const rows = cuts.map(({ of, boundaries }) => {
      const made = element("tr", {}, element("th", { scope: "row" }, visible(of)));
      let chunk = 0;
      for (let step = 0; step < one.steps.length; step++) {
        while (chunk + 2 < boundaries.length && step >= boundaries[chunk + 1]) chunk++;
        const begins = step > 0 && boundaries.includes(step);
        made.append(element("td", { class: `tint-${chunk % 6}${begins ? " begins" : ""}` }, String(chunk + 1)));
      }
      return made;
    });
    return scrolled(element("table", { class: "boundaries" }, element("thead", {}, head), element("tbody", {}, ...rows)));
  }

  const scrolled = (table) => element("div", { class: "scrolled", tabindex: "0", role: "group" }, table);

  function gatePart(one) {
    const parts = (one.gate ?? []).flatMap((gate) => [textElement("p", gate.of, "of"), gateTable(one, gate)]);
    return parts.length ? section("Skip gate: can the judge do without a chunk?", ...parts) : null;
  }

  function gateTable(one, gate) {
    const columns = ["dropped", "decision", "verdict", "the judge's answer", "the judge went on with"];
    const head = element("tr", {}, ...columns.map((name) => element("th", { scope: "col" }, name)));
    const rows = gate.questions.flatMap((question) => question.replies.map((reply) => gateRow(question, reply)));
    const last = gate.skipped && `skipped: ${gate.skipped.map((flag, at) => (flag ? at + 1 : 0)).filter(Boolean).join(", ") || "no chunk"}`;
    const table = element("table", { class: "gate" }, element("thead", {}, head), element("tbody", {}, ...rows));
    return element("div", {}, scrolled(table), last && element("p", { class: "note" }, last));
  }

  function gateRow({ chunk, dropped, right }, reply) {
    const what = chunk === 0 ? "nothing" : `chunk ${chunk}${dropped.length > 1 ? ` (in all ${dropped.join(", ")})` : ""}`;
    let decision = right ? "right, go on to ask" : "wrong: every chunk stays";
    if (chunk > 0) decision = right ? "can be skipped" : "is needed";
    if (reply.regrown) decision += "; right, but the dropped chunk was written elsewhere";
    const verdict = element("td", {}, glyph(LETTERS[reply.verdict] ?? "u"), ` ${reply.verdict}`);
    const told = [reply.answer ?? "none", reply.text].map((text) => textElement("td", text));
    return element("tr", {}, element("td", {}, what), element("td", {}, decision), verdict, ...told);
  }

  function outputsPart(one) {
    if (!one.outputs.some(Boolean)) return null;
    const chosen = comparing ? [+ui.first.value, +ui.second.value] : one.outputs.keys();
    const cards = [...chosen].filter((method) => one.outputs[method]).map((method) => card(one, method));
    const title = comparing ? "Outputs, side by side" : "Outputs";
    return section(title, element("div", { class: comparing ? "cards two" : "cards" }, ...cards));
  }

  function card(one, method) {
    const output = one.outputs[method];
    const flags = [output.ended === false ? "cut off at the limit" : "", output.looped ? "in a loop" : ""].filter(Boolean);
    const head = element("h5", {}, glyph(LETTERS[output.verdict] ?? "u"), " ");
    addText(head, methodName(method).slice(0, 200));
    const read = output.prompt_tokens === undefined ? "" : `, ${output.prompt_tokens} read`;
    const facts = textElement("p", `answer ${output.answer ?? "none"}; ${output.tokens} tokens written${read}`, "card-facts");
    if (flags.length) facts.append(element("strong", {}, `; ${flags.join(", ")}`));
    return element("article", { class: "card" }, head, facts, textElement("p", output.chain));
  }

  function itemsPart(one) {
    if (!one.items?.length) return null;
    const legend = element("p", { class: "legend" },
      element("span", { class: "token trained" }, "trained"), " tokens carry loss, ",
      element("span", { class: "token masked" }, "masked"), " tokens are only read; ",
      element("span", { class: "token masked marker" }, "[markers]"), " are framed.");
    const groups = new Map();
    one.items.forEach((item) => groups.set(item.of, [...(groups.get(item.of) ?? []), item]));
    const parts = [...groups].map(([of, items]) => {
      const summary = textElement("summary", `${of}: ${items.length} ${items.length === 1 ? "item" : "items"}`, "");
      const details = element("details", {}, summary);
      details.addEventListener("toggle", () => {
        if (details.open && details.children.length === 1)
          details.append(...items.map((item) => itemElement(item, one.pieces)));
      });
      return details;
    });
    return section("Training items: what is read, what is trained", legend, ...parts);
  }

  function itemElement(item, pieces) {
    const tokens = item.ids.map((id, at) => [...pieces[id], item.trained[at] === "1"]);
    const n = tokens.filter(([, , trained]) => trained).length;
    const times = item.times ? `, ${item.times} times an epoch` : "";
    const title = textElement("h5", `${item.stage}: ${n} of ${tokens.length} tokens trained${times}`, "");
    const text = element("p", { class: "text tokens", dir: "auto" });
    addCapped(text, tokens, TOKEN_CAP, (some) => some.forEach((token) => addToken(text, ...token)), "tokens");
    return element("div", { class: "item" }, title, text);
  }

  function addToken(parent, piece, isMarker, trained) {
    const made = element("span", { class: `token ${trained ? "trained" : "masked"}${isMarker ? " marker" : ""}` });
    addText(made, piece);
    parent.append(made);
  }

  function save(sample, one) {
    const { pieces, ...rest } = one;
    const items = (one.items ?? []).map(({ ids, trained, ...item }) => ({
      ...item,
      tokens: ids.map((id, at) => ({ text: pieces[id][0], marker: pieces[id][1] === 1, trained: trained[at] === "1" })),
    }));
    const outputs = Object.fromEntries(
      one.outputs.map((output, method) => [methodName(method), output]).filter(([, output]) => output),
    );
    const whole = { id: index.ids[sample], split: index.split_names[index.splits[sample]], ...rest, outputs, items };
    const url = URL.createObjectURL(new Blob([JSON.stringify(whole, null, 2)], { type: "application/json" }));
    const name = index.ids[sample].replace(/[^A-Za-z0-9-]+/g, "-").slice(0, 60);
    element("a", { href: url, download: `sample-${name}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  // ---- keys and controls ----------------------------------------------------------------------------------------

  function compare() {
    if (index.methods.length < 2) return;
    comparing = !comparing;
    ui.compare.setAttribute("aria-pressed", String(comparing));
    remember();
    if (current >= 0) open(current);
  }

  const KEYS = {
    j: () => move(1),
    k: () => move(-1),
    n: nextWrong,
    c: compare,
    "/": () => ui.search.focus(),
    "?": () => (ui.help.open ? ui.help.close() : ui.help.showModal()),
  };

  function onKey(event) {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox";
    if (event.key === "Escape" && typing) event.target.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  }

  function onListKey(event) {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    move(by);
  }

  function fill(select, options) {
    select.replaceChildren(...options.map(([value, text]) => element("option", { value }, visible(String(text)))));
  }

  function prepare() {
    const methods = index.methods.map(({ label }, at) => [at, label]);
    fill(ui.first, methods);
    fill(ui.second, methods);
    [ui.first.value, ui.second.value] = index.compared;
    fill(ui.split, [["all", "all splits"], ...index.split_names.map((name, at) => [at, name])]);
    const counts = [...new Set(index.steps.filter((k) => k !== null))].sort((a, b) => a - b);
    fill(ui.steps, [["all", "any number"], ...counts.map((k) => [k, `K = ${k}`])]);
    for (const name of ["split", "first", "second", "show", "steps", "skips", "flips"])
      ui[name].addEventListener("change", () => {
        filter();
        remember();
        if (comparing && current >= 0) open(current);
      });
    ui.search.addEventListener("input", search);
    ui.everywhere.addEventListener("change", search);
    ui.reset.addEventListener("click", () => {
      [ui.search.value, ui.everywhere.checked, ui.flips.checked] = ["", false, false];
      for (const name of ["split", "show", "steps", "skips"]) ui[name].value = "all";
      search();
    });
    ui.compare.addEventListener("click", compare);
    ui.list.addEventListener("scroll", draw, { passive: true });
    ui.list.addEventListener("keydown", onListKey);
    byId("browser-keys").addEventListener("click", KEYS["?"]);
    document.addEventListener("keydown", onKey);
    addEventListener("hashchange", follow);
    addEventListener("resize", draw);
    for (const part of document.querySelectorAll(".needs-methods")) part.hidden = index.methods.length === 0;
    for (const part of document.querySelectorAll(".needs-pair")) part.hidden = index.methods.length < 2;
  }

  async function start() {
    if (!byId("index")) return;
    if (typeof DecompressionStream === "undefined") {
      ui.status.textContent = "this browser cannot unpack the samples: it has no DecompressionStream (2023 or newer has)";
      return;
    }
    try {
      index = await unpack("index");
    } catch (error) {
      ui.status.textContent = `the samples in this file cannot be read: ${error.message}; write the report again`;
      return;
    }
    prepare();
    ui.samples.classList.add("ready");
    byId("browser-notes").append(...index.notes.map((note) => element("p", { class: "note" }, note)));
    filter();
    if (location.hash.startsWith("#/samples")) follow();
    else if (shown.length) {
      current = shown[0];
      const one = await body(current);
      ui.sample.replaceChildren(...sampleParts(current, one));
      draw();
    }
    document.documentElement.dataset.ready = "yes";
  }

  start();
})();
