// The public map: fetches the published layers and fills the map that Folium made; list, search and panel beside it.
// What the tables say reaches the page as text only (textContent); colours and widths are the style sheet's.
(function () {
  "use strict";

  const byId = (id) => document.getElementById(id);
  const calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const wide = () => window.matchMedia("(min-width: 56rem)").matches;

  function fill(map, addresses) {
    const words = JSON.parse(byId("content").dataset.words);
    const state = { map, addresses, words, grids: new Map(), names: [], chosen: null, from: null, spot: null };
    document.documentElement.classList.add("script");
    state.desk = openDesk(state);
    dressMap(state);
    state.loaded = loadGrids(state);
    state.loaded.then(() => loadContext(state));
    startSearch(state);
    startList(state);
    startPanel(state);
    startWhere(state);
    openHash(state);
    window.addEventListener("hashchange", () => openHash(state));
  }

  // --- the map ---------------------------------------------------------------------------------------------------

  // From the ground up. Only the grids' own shapes take clicks.
  const PANES = ["grids", "water", "building", "casing", "line", "border", "spot", "label"];

  function dressMap(state) {
    const { map, words } = state;
    PANES.forEach((name, height) => {
      const pane = map.createPane(name);
      pane.style.zIndex = 400 + height;
      pane.classList.add("pane-" + name);
    });
    state.renderers = {};
    PANES.slice(0, -1).forEach((name) => { state.renderers[name] = L.svg({ pane: name, padding: 0.5 }); });
    const box = map.getContainer();
    box.setAttribute("role", "application");
    box.setAttribute("aria-label", words.map);
    L.control.zoom({ position: "topright", zoomInTitle: words.zoom_in, zoomOutTitle: words.zoom_out }).addTo(map);
    L.control.scale({ position: "bottomleft", imperial: false, maxWidth: 120 }).addTo(map);
    map.setMinZoom(Math.max(0, map.getZoom() - 2));
    map.on("zoomend", () => { setWidths(map); placeLabels(state); });
    map.on("click", (event) => tellPlace(state, event.latlng));
    setWidths(map);
    byId("legend").open = window.matchMedia("(min-width: 100rem)").matches;
    let size = box.clientWidth + "x" + box.clientHeight;
    new ResizeObserver(() => {
      const now = box.clientWidth + "x" + box.clientHeight;
      if (now !== size) { size = now; map.invalidateSize({ animate: false }); }
    }).observe(box);
  }

  // Streets grow with the zoom, as on paper: one unit is about 2 m of ground, within limits.
  function setWidths(map) {
    const growth = Math.min(2.4, Math.max(0.55, 2.2 / metresPerPixel(map)));
    map.getContainer().style.setProperty("--street", growth.toFixed(2));
  }

  // Who answers questions: the server; in a published folder, where there is none, the script that lies beside this one.
  function openDesk(state) {
    const told = byId("content").dataset.answers;
    if (!told) {
      const asks = (what) => (values) => post(state.addresses[what], values);
      return { where: asks("where"), find: asks("find"), suggest: asks("suggest") };
    }
    state.frozen = true;
    return window.gridgisAnswers.desk(JSON.parse(told), {
      loaded: async () => {
        await state.loaded;
        if (!state.features) throw new Error(state.words.failed);
        return state.features;
      },
      read: () => get(state.addresses.places).catch(() => { throw new Error(state.words.failed); }),
      link: (code) => linkTo(code).getAttribute("href"),
      listed: (text) => {
        const asked = wordsOf(text);
        const items = [...document.querySelectorAll("#list li[data-search]")];
        const fitting = items.filter((item) => asked.length && asked.every((word) => item.dataset.search.includes(word)));
        return fitting.map((item) => item.querySelector("a").dataset.code);
      },
    });
  }

  // The address of an answer in the language of this page.
  function inLanguage(address) {
    const mark = address.includes("?") ? "&" : "?";
    return address + mark + "lang=" + document.documentElement.lang.slice(0, 2);
  }

  async function get(address, options) {
    const answer = await fetch(address, Object.assign({ headers: { Accept: "application/json" } }, options));
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.detail || answer.statusText);
    return body;
  }

  async function loadGrids(state) {
    let data;
    try {
      data = await get(state.addresses.grids);
    } catch (error) {
      say(state.words.failed);
      return;
    }
    state.features = data.features;
    const { map, renderers } = state;
    L.geoJSON(data, {
      pane: "border", interactive: false, renderer: renderers.border,
      style: { className: "x-border", fill: false },
      onEachFeature: (feature, layer) => { state.grids.set(feature.id, { ...feature.properties, edge: layer }); },
    }).addTo(map);
    L.geoJSON(data, {
      pane: "grids", renderer: renderers.grids,
      style: (feature) => ({ className: "x-grid c" + feature.properties.colour, stroke: false }),
      onEachFeature: (feature, layer) => {
        const grid = state.grids.get(feature.id);
        grid.area = layer;
        layer.on("click", (event) => {
          L.DomEvent.stopPropagation(event);
          tellPlace(state, event.latlng, true);
          choose(state, feature.id, { focus: true });
        });
        layer.on("mouseover", () => mark(grid, "is-near", true));
        layer.on("mouseout", () => mark(grid, "is-near", false));
      },
    }).addTo(map);
    for (const grid of state.grids.values()) {
      grid.label = label(state, [grid.label_lat, grid.label_lon], "grid-label", 500);
      grid.texts = textsOf(grid);
    }
    placeLabels(state);
    performance.mark("grids-drawn");
  }

  async function loadContext(state) {
    let data;
    try {
      data = await get(state.addresses.context);
    } catch (error) {
      say(state.words.failed);
      return;
    }
    const street = new Set(["expressway", "main", "secondary", "lane"]);
    const draw = (features, pane, style) => L.geoJSON({ type: "FeatureCollection", features }, {
      pane, interactive: false, renderer: state.renderers[pane], style,
    }).addTo(state.map);
    const of = (test) => data.features.filter((f) => f.properties.kind !== "name" && test(f.properties.kind));
    const area = (kind) => kind === "water" || kind === "building";
    for (const kind of ["water", "building"]) {
      draw(of((k) => k === kind), kind, { className: "x-" + kind, stroke: false });
    }
    draw(of((k) => street.has(k)), "casing", (f) => ({ className: "x-casing " + f.properties.kind, fill: false }));
    draw(of((k) => !area(k)), "line", (f) => ({ className: "x-line " + f.properties.kind, fill: false }));
    state.names = data.features.filter((f) => f.properties.kind === "name").map((f) => {
      const [lon, lat] = f.geometry.coordinates;
      const span = label(state, [lat, lon], "street-name " + f.properties.class, 0);
      span.classList.toggle("upright", f.properties.upright);
      span.style.transform = "translate(-50%, -50%) rotate(" + f.properties.angle + "deg)";
      return { ...f.properties, span, at: L.latLng(lat, lon) };
    });
    placeLabels(state);
    performance.mark("context-drawn");
  }

  // --- labels ----------------------------------------------------------------------------------------------------

  function label(state, at, className, lift) {
    const span = document.createElement("span");
    span.className = className;
    const icon = L.divIcon({ html: span, className: "label-anchor", iconSize: [0, 0] });
    L.marker(at, { icon, pane: "label", interactive: false, keyboard: false, zIndexOffset: lift }).addTo(state.map);
    return span;
  }

  // A label stands only where it has room: grids first, then streets.
  function placeLabels(state) {
    const { map } = state;
    const metres = metresPerPixel(map);
    const taken = [];
    const free = (box) => taken.every((b) => box.x1 < b.x0 || box.x0 > b.x1 || box.y1 < b.y0 || box.y0 > b.y1);
    const boxAt = (at, size, gap) => {
      const p = map.project(at);
      const x = size.width / 2 + gap, y = size.height / 2 + gap;
      return { x0: p.x - x, x1: p.x + x, y0: p.y - y, y1: p.y + y };
    };
    const grids = [...state.grids.values()];
    grids.sort((a, b) => (b.code === state.chosen) - (a.code === state.chosen));
    // Where most would have to make do with the code, all do: a mixture is hard to read.
    let placed = grids.map((grid) => placeGrid(grid, 0));
    if (placed.filter((found) => found && !found.isCode).length * 2 < grids.length) {
      taken.length = 0;
      placed = grids.map((grid) => placeGrid(grid, grid.code === state.chosen ? 0 : 3));
    }
    grids.forEach((grid, i) => show(grid.label, placed[i]));
    placeStreets();

    function placeGrid(grid, from) {
      const room = 2.3 * grid.room_m / metres;
      for (const text of grid.texts.slice(from)) {
        const size = textSize(grid.label, text);
        const box = boxAt([grid.label_lat, grid.label_lon], size, 1);
        const fits = grid.code === state.chosen || Math.hypot(size.width, size.height) < room;
        if (fits && free(box)) {
          taken.push(box);
          return { text, isCode: text === grid.tail };
        }
      }
      return null;
    }

    function placeStreets() {
      const shown = new Map();
      for (const name of state.names) {
        const { width, height } = textSize(name.span, name.name + " ");  // and its edge
        const turn = Math.abs(name.angle) * Math.PI / 180 + (name.upright ? Math.PI / 2 : 0);
        const across = Math.abs(Math.cos(turn)), down = Math.abs(Math.sin(turn));
        const box = boxAt(name.at, { width: width * across + height * down, height: width * down + height * across }, 4);
        const at = map.project(name.at);
        const before = shown.get(name.name) || [];
        const far = before.every((p) => p.distanceTo(at) > 420);
        const fits = width * 1.4 < name.length_m / metres && far && free(box);
        show(name.span, fits ? { text: name.name } : null);
        if (!fits) continue;
        taken.push(box);
        shown.set(name.name, [...before, at]);
      }
    }
  }

  function show(span, found) {
    if (found && span.textContent !== found.text) span.textContent = found.text;
    if (span.hidden === Boolean(found)) span.hidden = !found;
  }

  // The name; the name in two lines; what tells it from its siblings; the end of its code.
  function textsOf(grid) {
    const name = grid.name || grid.code;
    const own = grid.short || name;
    const texts = [name, own, grid.tail];
    if (own !== name) texts.splice(1, 0, name.slice(0, name.length - own.length).trim() + "\n" + own);
    else texts.splice(1, 0, name);
    return texts;
  }

  // How large a text is written in a label: measured on a canvas, since asking the page is slow for many.
  const fonts = new Map();
  const pen = document.createElement("canvas").getContext("2d");

  function textSize(label, text) {
    if (!fonts.has(label.className)) {
      const style = getComputedStyle(label);
      const size = parseFloat(style.fontSize);
      const font = { font: `${style.fontWeight} ${size}px ${style.fontFamily}`, size, gap: parseFloat(style.letterSpacing) || 0, sizes: new Map() };
      fonts.set(label.className, font);
    }
    const font = fonts.get(label.className);
    if (!font.sizes.has(text)) {
      pen.font = font.font;
      const lines = text.split("\n");
      const width = Math.max(...lines.map((line) => pen.measureText(line).width + font.gap * line.length));
      font.sizes.set(text, { width, height: lines.length * font.size * 1.2 });
    }
    return font.sizes.get(text);
  }

  function metresPerPixel(map) {
    return 40075016 * Math.cos(map.getCenter().lat * Math.PI / 180) / (256 * Math.pow(2, map.getZoom()));
  }

  function mark(grid, className, on) {
    for (const layer of [grid.area, grid.edge]) {
      const element = layer && layer.getElement();
      if (element) element.classList.toggle(className, on);
    }
    if (on && grid.edge) grid.edge.bringToFront();
    grid.label.classList.toggle(className, on);
  }

  // --- the panel: the board of the chosen grid ---------------------------------------------------------------------

  async function choose(state, code, options) {
    const opts = Object.assign({ focus: false, move: false }, options);
    await state.loaded;
    clearChoice(state);
    state.chosen = code;
    const grid = state.grids.get(code);
    if (grid) {
      mark(grid, "is-chosen", true);
      placeLabels(state);
      if (opts.move) {
        const to = { maxZoom: 17, padding: [48, 48], animate: !calm() };
        state.map.fitBounds(grid.area.getBounds(), to);
      }
    }
    const link = linkTo(code);
    if (link) link.setAttribute("aria-current", "true");
    history.replaceState(null, "", hashOf(code));
    keepHash();
    await showBoard(state, code, link, opts);
  }

  function hashOf(code) {
    return "#" + encodeURIComponent(code);
  }

  function linkTo(code) {
    return [...document.querySelectorAll("#list a[data-code]")].find((a) => a.dataset.code === code) || null;
  }

  async function showBoard(state, code, link, opts) {
    const page = link ? link.getAttribute("href") : null;
    if (!page) return;
    let board;
    try {
      board = await get(state.frozen ? page.replace(/\.html$/, ".json") : inLanguage(page));
    } catch (error) {
      say(state.words.board_failed, [{ url: page, name: code }]);
      return;
    }
    if (state.chosen !== code) return;
    const panel = byId("panel");
    write(panel, board);
    byId("panel-dot").className = "dot c" + board.colour;
    byId("panel-link").href = board.url;
    const people = byId("panel-people");
    people.hidden = board.staff.length === 0;
    people.replaceChildren(...board.staff.map((person) => personCard(person, board.ask)));
    const nobody = panel.querySelector('[data-row="no_staff"]');
    state.nobody = state.nobody || nobody.textContent;
    nobody.replaceChildren(state.nobody, ...askLine(board.ask));
    nobody.hidden = board.staff.length > 0;
    panel.hidden = false;
    if (opts.focus) {
      byId("panel-title").focus({ preventScroll: true });
      bringIntoView(panel);
    }
  }

  // On a phone the answer and the map stand above the panel: all are shown. Beside the map the panel is the top of the list.
  function bringIntoView(panel) {
    const behaviour = calm() ? "auto" : "smooth";
    if (wide()) panel.parentElement.scrollTo({ top: 0, behavior: behaviour });
    else document.querySelector(".answer.shown, .map-area").scrollIntoView({ block: "start", behavior: behaviour });
  }

  // Whom to ask instead: a sentence and a number to call.
  function askLine(ask) {
    if (!ask) return [];
    if (!ask.phone) return [" " + ask.text];
    const link = document.createElement("a");
    link.className = "nowrap";
    link.href = "tel:" + ask.phone.replace(/\s/g, "");
    link.textContent = ask.phone;
    return [" " + ask.text + " ", link];
  }

  function personCard(person, ask) {
    const card = byId("person").content.cloneNode(true);
    write(card, person);
    const note = card.querySelector('[data-row="no_phone"]');
    note.hidden = Boolean(person.phone);
    note.append(...askLine(ask));
    card.querySelector('[data-row="no_hours"]').hidden = Boolean(person.hours);
    card.querySelector(".duty").classList.toggle("on", person.on_duty);
    if (person.photo) {
      const face = document.createElement("img");
      face.className = "face";
      face.alt = "";
      face.src = person.photo;
      card.querySelector(".face").replaceWith(face);
    }
    return card;
  }

  // A time range does not break at its dash.
  function whole(text) {
    return text.split(/(\d{1,2}[:：]\d{2}\s*[-‐-―−~～〜]\s*\d{1,2}[:：]\d{2})/).map((part, i) => {
      if (i % 2 === 0) return part;
      const span = document.createElement("span");
      span.className = "nowrap";
      span.textContent = part;
      return span;
    });
  }

  // Writes the values into the elements that name them, as text; rows without a value are hidden.
  function write(root, values) {
    for (const element of root.querySelectorAll("[data-field]")) {
      const value = String(values[element.dataset.field] || "");
      element.replaceChildren(...whole(value));
      if (/[\u3400-\u9fff]/.test(value)) element.lang = "zh-Hans";
      else element.removeAttribute("lang");
      if (element.classList.contains("phone")) element.href = "tel:" + value.replace(/\s/g, "");
    }
    for (const row of root.querySelectorAll("[data-row]")) {
      if (row.dataset.row in values) row.hidden = !values[row.dataset.row];
    }
  }

  function clearChoice(state) {
    const before = state.grids.get(state.chosen);
    if (before) mark(before, "is-chosen", false);
    document.querySelectorAll("#list [aria-current]").forEach((a) => a.removeAttribute("aria-current"));
    state.chosen = null;
  }

  function startPanel(state) {
    state.closePanel = () => {
      clearChoice(state);
      placeLabels(state);
      byId("panel").hidden = true;
      history.replaceState(null, "", location.pathname + location.search);
      keepHash();
    };
    const close = () => {
      const code = state.chosen;
      state.closePanel();
      say("");
      const back = state.from && state.from.isConnected ? state.from : linkTo(code);
      if (back) back.focus();
      state.from = null;
    };
    byId("panel-close").addEventListener("click", close);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !byId("panel").hidden) close();
    });
  }

  function openHash(state) {
    const links = [...document.querySelectorAll("#list a[data-code]")];
    const link = links.find((a) => hashOf(a.dataset.code) === location.hash);
    if (link && link.dataset.code !== state.chosen) choose(state, link.dataset.code, { move: true });
  }

  // The page in the other language opens with the same grid.
  function keepHash() {
    const link = byId("language");
    if (link) link.hash = location.hash;
  }

  // --- list and search ---------------------------------------------------------------------------------------------

  function startList(state) {
    byId("list").addEventListener("click", (event) => {
      const link = event.target.closest("a[data-code]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      state.from = link;
      choose(state, link.dataset.code, { focus: true, move: true });
    });
  }

  const wordsOf = (text) => text.normalize("NFKC").toLowerCase().split(/\s+/).filter(Boolean);

  function startSearch(state) {
    const field = byId("search");
    const items = [...document.querySelectorAll("#list li[data-search]")];
    const sections = [...document.querySelectorAll("#list section")];
    const total = items.length;
    // Where nothing in the list fits but an address does, the list stays whole.
    const filter = (keep) => {
      const asked = keep ? [] : wordsOf(field.value);
      let count = 0;
      for (const item of items) {
        item.hidden = !asked.every((word) => item.dataset.search.includes(word));
        count += item.hidden ? 0 : 1;
      }
      for (const section of sections) section.hidden = !section.querySelector("li:not([hidden])");
      byId("nothing").hidden = count > 0;
      const said = asked.length ? state.words.found : state.words.all;
      byId("count").textContent = said.replace("{count}", count).replace("{total}", total);
      return count;
    };
    const find = (text) => {
      box.close();
      field.value = text;
      filter(true);
      findText(state, text);
    };
    const box = suggestions(state, field, find, (any) => { if (filter() === 0 && any) filter(true); });
    field.addEventListener("input", () => { filter(); box.ask(); });
    byId("search-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (field.value.trim()) find(box.chosen() || field.value.trim());
    });
    if (field.value && !new URLSearchParams(location.search).get("q")) filter();
  }

  // The list below the search field: places that fit what is typed. Arrow keys, Enter, Escape; or a click.
  function suggestions(state, field, find, arrived) {
    const list = byId("suggestions");
    let options = [], at = -1, timer = 0, turn = 0;
    const attributes = { role: "combobox", "aria-autocomplete": "list", "aria-controls": list.id, "aria-expanded": "false" };
    for (const [name, value] of Object.entries(attributes)) field.setAttribute(name, value);
    list.setAttribute("role", "listbox");

    const open = (on) => {
      list.hidden = !on;
      field.setAttribute("aria-expanded", String(on));
      if (!on) point(-1);
    };
    const point = (to) => {
      at = to;
      list.querySelectorAll("li").forEach((li, i) => {
        li.setAttribute("aria-selected", String(i === at));
        if (i === at) li.scrollIntoView({ block: "nearest" });
      });
      if (at < 0) field.removeAttribute("aria-activedescendant");
      else field.setAttribute("aria-activedescendant", "suggestion-" + at);
    };
    const close = () => { turn += 1; clearTimeout(timer); options = []; open(false); };
    const draw = () => {
      list.replaceChildren(...options.map((place, i) => {
        const li = document.createElement("li");
        li.id = "suggestion-" + i;
        li.setAttribute("role", "option");
        li.append(...placeWords(place));
        li.addEventListener("pointerdown", (event) => event.preventDefault());  // the field keeps the focus
        li.addEventListener("click", () => find(place.label));
        return li;
      }));
      open(options.length > 0);
      byId("suggested").textContent = options.length ? state.words.suggested.replace("{count}", options.length) : "";
    };
    const ask = () => {
      clearTimeout(timer);
      const mine = turn += 1;
      const text = field.value.trim();
      point(-1);  // what was chosen was for another text
      if (!text) { close(); return; }
      timer = setTimeout(async () => {
        let found;
        try {
          found = await state.desk.suggest({ q: text });
        } catch (error) {
          found = [];  // the list of grids still filters, and Enter still asks
        }
        if (mine !== turn) return;
        options = found;
        draw();
        arrived(options.length > 0);
      }, 180);
    };
    field.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step && options.length) {
        event.preventDefault();
        open(true);
        // Past either end nothing is chosen, then the other end.
        point((at + 1 + step + options.length + 1) % (options.length + 1) - 1);
      } else if (event.key === "Escape" && !list.hidden) {
        event.preventDefault();
        event.stopPropagation();
        open(false);
      }
    });
    field.addEventListener("blur", () => open(false));
    return { ask, close, chosen: () => (at >= 0 ? options[at].label : "") };
  }

  // What a place is called, and below it its address and grid.
  function placeWords(place) {
    const name = document.createElement("b");
    const more = document.createElement("small");
    name.textContent = place.label;
    more.textContent = [place.address, place.grid].filter(Boolean).join(" · ");
    name.lang = more.lang = "zh-Hans";
    return [name, " ", more];
  }

  function post(address, values) {
    return get(inLanguage(address), { method: "POST", body: new URLSearchParams(values) });
  }

  let questions = 0;

  // The answer to a question; null if there is none (and why is said), or if another question was put since.
  // Asked by POST: what is typed, and a position, stand in no address and no history.
  async function question(asking) {
    const mine = questions += 1;
    const box = byId("answer");
    box.setAttribute("aria-busy", "true");
    let answer = null;
    let fault = "";
    try {
      answer = await asking;
    } catch (error) {
      fault = error.message;
    }
    if (mine !== questions) return null;
    box.removeAttribute("aria-busy");
    if (fault) say(fault);
    return answer;
  }

  async function findText(state, text) {
    const answer = await question(state.desk.find({ q: text }));
    if (!answer) return;
    const one = answer.grids.length === 1;
    say(answer.said, one ? [] : answer.grids, answer.grids.length > 0);
    const box = byId("answer");
    box.append(...askLine(answer.ask));
    if (answer.choices.length) {
      const choices = document.createElement("div");
      choices.className = "choices";
      choices.append(...answer.choices.map((place) => {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "quiet";
        button.append(...placeWords(place));
        button.addEventListener("click", () => { byId("search").value = place.label; findText(state, place.label); });
        return button;
      }));
      box.append(choices);
    }
    if (answer.lon !== null) showSpot(state, [answer.lat, answer.lon]);
    else if (state.spot) state.spot.remove();
    state.from = byId("search");
    if (one) {
      choose(state, answer.grids[0].code, { focus: true, move: true });
      return;
    }
    if (!byId("panel").hidden) state.closePanel();
    await state.loaded;
    const areas = answer.grids.map((grid) => state.grids.get(grid.code)).filter(Boolean).map((grid) => grid.area);
    const seen = L.featureGroup(areas).getBounds();
    if (seen.isValid()) state.map.fitBounds(seen, { maxZoom: 17, padding: [24, 24], animate: !calm() });
  }

  // --- which grid am I in -------------------------------------------------------------------------------------------

  function startWhere(state) {
    const form = byId("where-form");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      ask(state, Object.fromEntries(new FormData(form)));
    });
    // A pair that was copied as one ("116.32, 40.00") is parted.
    form.elements.lon.addEventListener("input", () => {
      const pair = form.elements.lon.value.match(/^\s*([-\d.]+)\s*[,，;\s]\s*([-\d.]+)\s*$/);
      if (pair) { form.elements.lon.value = pair[1]; form.elements.lat.value = pair[2]; }
    });
    const locate = byId("locate");
    locate.hidden = !(window.isSecureContext && navigator.geolocation);
    locate.addEventListener("click", () => {
      say(state.words.locating);
      navigator.geolocation.getCurrentPosition((found) => {
        ask(state, { lon: String(found.coords.longitude), lat: String(found.coords.latitude) });
      }, () => say(state.words.no_position), { enableHighAccuracy: true, timeout: 15000 });
    });
  }

  async function ask(state, values) {
    const answer = await question(state.desk.where(values));
    if (!answer) return;
    showSpot(state, [answer.lat, answer.lon]);
    say(answer.said, answer.grids.length > 1 ? answer.grids : [], answer.grids.length > 0);
    byId("answer").append(...askLine(answer.ask));
    state.from = byId("where").querySelector("summary");
    if (answer.grids.length) choose(state, answer.grids[0].code, { focus: answer.grids.length === 1, move: true });
    else if (L.latLngBounds(state.map.options.maxBounds).contains([answer.lat, answer.lon])) {
      state.map.setView([answer.lat, answer.lon], state.map.getZoom(), { animate: !calm() });
    }
  }

  function tellPlace(state, at, inside) {
    showSpot(state, at);
    say(inside ? "" : state.words.outside);
  }

  function showSpot(state, at) {
    if (state.spot) state.spot.remove();
    state.spot = L.circleMarker(at, {
      pane: "spot", renderer: state.renderers.spot, radius: 7, interactive: false, className: "x-spot",
    }).addTo(state.map);
  }

  function say(text, grids, found) {
    const box = byId("answer");
    box.replaceChildren();
    box.classList.toggle("shown", Boolean(text));
    box.classList.toggle("found", Boolean(found));
    box.append(text);
    if (!grids || !grids.length) return;
    const links = document.createElement("div");
    links.className = "links";
    links.append(...grids.map((grid) => {
      const link = document.createElement("a");
      link.href = grid.url;
      link.textContent = grid.name;
      if (/[\u3400-\u9fff]/.test(grid.name)) link.lang = "zh-Hans";
      return link;
    }));
    box.append(links);
  }

  window.gridgis = { fill };
})();
