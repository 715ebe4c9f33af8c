// Answers in a published folder what the server answers elsewhere: where a point is, and where an address is.
// The same rules as gridgis.crs and webmap.published; of addresses it reads fewer ways of writing than webmap.finding.
(function () {
  "use strict";

  // --- GCJ-02 and BD-09, as gridgis.crs has them ------------------------------------------------------------------

  const A = 6378245.0, E2 = 0.00669342162296594323, BD_PI = Math.PI * 3000 / 180, STEPS = 4;

  function toGcj02([lon, lat]) {
    if (!(lon >= 72.004 && lon <= 137.8347 && lat >= 0.8293 && lat <= 55.8271)) return [lon, lat];
    const x = lon - 105, y = lat - 35, pi = Math.PI, sin = Math.sin;
    const root = Math.sqrt(Math.abs(x));
    const common = (20 * sin(6 * x * pi) + 20 * sin(2 * x * pi)) * 2 / 3;
    let dLat = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + common;
    dLat += (20 * sin(y * pi) + 40 * sin(y / 3 * pi)) * 2 / 3;
    dLat += (160 * sin(y / 12 * pi) + 320 * sin(y * pi / 30)) * 2 / 3;
    let dLon = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + common;
    dLon += (20 * sin(x * pi) + 40 * sin(x / 3 * pi)) * 2 / 3;
    dLon += (150 * sin(x / 12 * pi) + 300 * sin(x / 30 * pi)) * 2 / 3;
    const phi = lat * pi / 180;
    const magic = 1 - E2 * sin(phi) ** 2;
    dLat = dLat * 180 / ((A * (1 - E2)) / (magic * Math.sqrt(magic)) * pi);
    dLon = dLon * 180 / (A / Math.sqrt(magic) * Math.cos(phi) * pi);
    return [lon + dLon, lat + dLat];
  }

  function toBd09([lon, lat]) {
    const radius = Math.hypot(lon, lat) + 0.00002 * Math.sin(lat * BD_PI);
    const angle = Math.atan2(lat, lon) + 0.000003 * Math.cos(lon * BD_PI);
    return [radius * Math.cos(angle) + 0.0065, radius * Math.sin(angle) + 0.006];
  }

  function inverse(shift, goal) {
    let [lon, lat] = goal;
    for (let step = 0; step < STEPS; step += 1) {
      const there = shift([lon, lat]);
      lon -= there[0] - goal[0];
      lat -= there[1] - goal[1];
    }
    return [lon, lat];
  }

  const TO_WGS84 = {
    wgs84: (at) => at,
    gcj02: (at) => inverse(toGcj02, at),
    bd09: (at) => inverse(toGcj02, inverse(toBd09, at)),
  };

  // --- metres -----------------------------------------------------------------------------------------------------

  // Transverse Mercator by Krüger's series to the fourth power of n: within a micrometre. Without false origin.
  function projection({ a, f, lon: middle, k }) {
    const n = f / (2 - f), n2 = n * n, n3 = n2 * n, n4 = n2 * n2;
    const scale = k * a / (1 + n) * (1 + n2 / 4 + n4 / 64);
    const e = 2 * Math.sqrt(n) / (1 + n);
    const alpha = [
      n / 2 - n2 * 2 / 3 + n3 * 5 / 16 + n4 * 41 / 180, n2 * 13 / 48 - n3 * 3 / 5 + n4 * 557 / 1440,
      n3 * 61 / 240 - n4 * 103 / 140, n4 * 49561 / 161280,
    ];
    return ([lon, lat]) => {
      const turn = (lon - middle) * Math.PI / 180, s = Math.sin(lat * Math.PI / 180);
      const t = Math.sinh(Math.atanh(s) - e * Math.atanh(e * s));
      const xi = Math.atan2(t, Math.cos(turn)), eta = Math.atanh(Math.sin(turn) / Math.sqrt(1 + t * t));
      let x = eta, y = xi;
      alpha.forEach((factor, i) => {
        const j = 2 * (i + 1);
        x += factor * Math.cos(j * xi) * Math.sinh(j * eta);
        y += factor * Math.sin(j * xi) * Math.cosh(j * eta);
      });
      return [scale * x, scale * y];
    };
  }

  // --- which grid a point is in -------------------------------------------------------------------------------------

  const ringsOf = (geometry) => (geometry.type === "Polygon" ? geometry.coordinates : geometry.coordinates.flat());

  function inside(rings, [x, y]) {
    let odd = false;
    for (const ring of rings) {
      for (let i = 1; i < ring.length; i += 1) {
        const [x0, y0] = ring[i - 1], [x1, y1] = ring[i];
        if ((y0 > y) !== (y1 > y) && x < x0 + (y - y0) / (y1 - y0) * (x1 - x0)) odd = !odd;
      }
    }
    return odd;
  }

  function isNear(rings, [x, y], distance) {
    const limit = distance * distance;
    return rings.some((ring) => ring.some(([x1, y1], i) => {
      if (i === 0) return false;
      const [x0, y0] = ring[i - 1];
      const dx = x1 - x0, dy = y1 - y0, long = dx * dx + dy * dy;
      const along = long === 0 ? 0 : Math.min(1, Math.max(0, ((x - x0) * dx + (y - y0) * dy) / long));
      return (x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2 <= limit;
    }));
  }

  // Gives the rows of the grids at a point, degrees of WGS 84: the one around it, and all within so many metres.
  function locator(features, plane, distance) {
    const project = projection(plane);
    const grids = features.map((feature) => {
      const degrees = ringsOf(feature.geometry);
      const metres = degrees.map((ring) => ring.map(project));
      const xs = metres.flat().map((at) => at[0]), ys = metres.flat().map((at) => at[1]);
      const [least, most] = [(all) => all.reduce((a, b) => Math.min(a, b)), (all) => all.reduce((a, b) => Math.max(a, b))];
      return { degrees, metres, box: [least(xs) - distance, least(ys) - distance, most(xs) + distance, most(ys) + distance] };
    });
    return (at) => {
      const here = project(at), [x, y] = here;
      const holds = ({ degrees, metres, box }) => x >= box[0] && y >= box[1] && x <= box[2] && y <= box[3]
        && (inside(degrees, at) || inside(metres, here) || isNear(metres, here, distance));
      return grids.flatMap((grid, row) => (holds(grid) ? [row] : []));
    };
  }

  // --- which place is meant -----------------------------------------------------------------------------------------

  const DIGITS = { 零: 0, 〇: 0, 一: 1, 二: 2, 两: 2, 三: 3, 四: 4, 五: 5, 六: 6, 七: 7, 八: 8, 九: 9 };
  const COUNTED = "号|栋|幢|座|楼|弄|单元|门|层|室|巷";
  // 三门路, 九层楼街: a name goes on behind the word, so that it counts nothing.
  const GOES_ON = "(?!大?街|路|大道|桥|寺|庙|庵|营|店|口|山|湾|河|塘|井|坊|线|码头|沟|坟|厂|站)";
  const NUMERAL = new RegExp(`[零〇一二两三四五六七八九十百]+(?=(?:${COUNTED})${GOES_ON})`, "g");

  function digits(numeral) {
    if (!/[十百]/.test(numeral)) return [...numeral].map((c) => DIGITS[c]).join("");
    const said = numeral.match(/^(?:([一二两三四五六七八九])百)?[零〇]?(?:([一二三四五六七八九]?)十)?([一二三四五六七八九])?$/);
    if (!said || (said[1] && said[3] && said[2] === undefined && !/[零〇]/.test(numeral))) return numeral;
    const tens = said[2] === undefined ? 0 : 10 * (DIGITS[said[2]] || 1);
    return String(100 * (DIGITS[said[1]] || 0) + tens + (DIGITS[said[3]] || 0));
  }

  // One way of writing: half-width, lower case, digits, no blanks, one word for a building.
  function fold(text) {
    return text.normalize("NFKC").toLowerCase()
      .replace(/[‐‑‒–—―−─~〜]/g, "-")
      .replace(/(\d)[\s,.;:、。·/\\()]+(?=\d)/g, "$1-")
      .replace(/[\s,.;:、。·'"`()<>{}…_*/\\|!?[\]]+/g, "")
      .replace(/[號樓棟單層]/g, (c) => ({ 號: "号", 樓: "楼", 棟: "栋", 單: "单", 層: "层" })[c])
      .replace(NUMERAL, digits)
      .replace(/(^|[^\d])([甲乙丙丁戊己庚辛壬癸])(\d+)(?=号)/g, "$1$3$2")
      .replace(/(\d+)号([甲乙丙丁戊己庚辛壬癸])(?!栋|幢|座|楼|单元|门)/g, "$1$2号")
      .replace(/(\d)(?:号楼|#楼|栋楼|幢楼|幢|座|#)/g, "$1栋");
  }

  const hasLetter = (plain) => /\p{L}/u.test(plain);
  const whole = (plain) => [plain, ...(/\d$/.test(plain) ? ["号", "栋", "弄"].map((word) => plain + word) : [])];
  // 3号 is called 3栋 as well, where there is no other building of that number.
  const ways = (plain) => [plain, plain.replace(/(\d)栋/g, "$1号")];
  const once = (places) => [...new Set(places)];
  // What may stand before an address; a unit or a room, or a number that is not known, may stand behind it.
  const BEFORE = /(?:省|市|[^小园校厂新老]区|县|旗|镇|乡|街道|村|路|街|弄|号|大道)$/;

  function finder(places) {
    const keys = places.flatMap((place) => (place.keys || [place.label]).map((key) => [fold(key), place]));
    const byKey = new Map();
    for (const [key, place] of keys) if (!byKey.has(key)) byKey.set(key, place);

    const exact = (plain) => whole(plain).filter((key) => byKey.has(key)).map((key) => byKey.get(key));

    // What may be a part of what was typed: no bare number (3号楼 is one of any compound), no area as a whole.
    const parts = keys.filter(([key]) => /\p{L}{2}/u.test(key) && !/(?:省|市|区|县|街道|社区)$/.test(key));

    // The places whose longest names stand in what was typed; whether the numbers beside them are known too.
    function named(plain) {
      let found = [], longest = 0, behind = "", ahead = "";
      for (const [key, place] of parts) {
        const at = key.length < longest ? -1 : plain.indexOf(key);
        if (at < 0) continue;
        const before = plain.slice(0, at), after = plain.slice(at + key.length);
        const apart = !(/\d$/.test(key) && /^\d/.test(after)) && !(/^\d/.test(key) && /\d$/.test(before));
        if (!apart || (before && !BEFORE.test(before)) || (after && !/^[-\d]/.test(after))) continue;
        if (key.length > longest) { found = []; longest = key.length; behind = after; ahead = before; }
        found.push(place);
      }
      const name = plain.slice(0, plain.length - behind.length);
      const room = /^-?\d+$/.test(behind) ? /(?:号|栋)$/.test(name) : /^-?\d+(?:单元|门|梯|层|楼|室|户|房|-)/.test(behind);
      const [number] = ahead.match(/\d+(?:号|弄)$/) || [""];
      const theirs = keys.some(([key, place]) => key.includes(number) && found.includes(place));
      return { places: once(found), known: theirs && (!behind || room) };
    }

    // What is surely meant, whole or in part; null if nothing is.
    function meant(plain) {
      const [same] = ways(plain).flatMap(exact);
      if (same) return { places: [same], known: true };
      const found = ways(plain).map(named).filter((one) => one.places.length);
      return found.find((one) => one.known) || found[0] || null;
    }

    return {
      find(text) {
        const plain = fold(text);
        const found = meant(plain);
        if (found) return found;
        if (!hasLetter(plain)) return { places: [], known: true };
        // A part of a name or street, but never a part of a number.
        const escaped = plain.replace(/[.*+?^${}()|[\]\\-]/g, "\\$&");
        const part = new RegExp((/^\d/.test(plain) ? "(?<!\\d)" : "") + escaped + (/\d$/.test(plain) ? "(?!\\d)" : ""));
        return { places: once(keys.filter(([key]) => part.test(key)).map(([, place]) => place)), known: true };
      },
      suggest(text) {
        const plain = fold(text);
        if (!hasLetter(plain)) return [];
        const of = (test) => keys.filter(([key]) => test(key)).map(([, place]) => place);
        const starting = of((key) => key.startsWith(plain)), holding = of((key) => key.includes(plain));
        const found = meant(plain);
        return once([...exact(plain), ...(found ? found.places : []), ...starting, ...holding]);
      },
    };
  }

  // --- the desk -----------------------------------------------------------------------------------------------------

  const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all));

  function readDegrees(text, name, words) {
    const plain = text.normalize("NFKC").trim().replace(/°+$/, "").trim();
    if (!plain) throw new Error(words[name + "_missing"]);
    const value = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i.test(plain) ? Number(plain) : NaN;
    if (!Number.isFinite(value)) throw new Error(words[name + "_no_number"]);
    return value;
  }

  // Longitude and latitude, WGS 84, out of what was typed.
  function readPosition(values, words) {
    const lon = readDegrees(values.lon, "lon", words), lat = readDegrees(values.lat, "lat", words);
    if (!(Math.abs(lat) <= 90)) {
      throw new Error(Math.abs(lon) <= 90 && Math.abs(lat) <= 180 ? words.swapped : words.lat_range);
    }
    if (!(Math.abs(lon) <= 180)) throw new Error(words.lon_range);
    const shift = TO_WGS84[values.datum || "wgs84"];
    if (!shift) throw new Error(words.datum);
    return shift([lon, lat]);
  }

  // `loaded` gives the features of the grids, `read` the places, `link` the address of a board, `listed` the codes of
  // the grids whose entry in the list has all words of a text.
  function desk(told, { loaded, read, link, listed }) {
    const { words } = told;
    let known = null, finding = null;

    async function grids() {
      if (!known) {
        const features = await loaded();
        known = { features, rows: locator(features, told.plane, told.border_m) };
      }
      return known;
    }

    async function places() {
      finding = finding || read().then(finder);
      try {
        return await finding;
      } catch (error) {
        finding = null;
        throw error;
      }
    }

    const board = ({ id, properties }) => ({
      code: id, name: properties.name || id, url: link(id), colour: properties.colour,
    });

    async function dressed(place) {
      const { features } = await grids();
      const names = features.filter((f) => place.grids.includes(f.id)).map((f) => f.properties.name || f.id);
      const grid = names.length === 1 ? names[0] : fill(words.in_grids, { count: names.length });
      return { label: place.label, address: place.address || "", grid };
    }

    function sentence(label, found, choices) {
      const [first] = found;
      const values = { place: label, count: found.length, name: first ? first.name : "" };
      if (!first) return words.nothing;
      if (choices) return words.which;
      if (label) return fill(found.length === 1 ? words.place_inside : words.place_across, values);
      return fill(found.length === 1 ? words.leads : words.fitting, values);
    }

    return {
      async where(values) {
        const at = readPosition(values, words);
        const { features, rows } = await grids();
        const found = rows(at).map((row) => board(features[row]));
        const first = found[0] ? found[0].name : "";
        const said = found.length > 1 ? words.on_border : found.length ? words.inside : words.outside;
        return {
          lon: at[0], lat: at[1], said: fill(said, { count: found.length, name: first }), grids: found,
          ask: found.length ? null : told.call,
        };
      },
      async suggest({ q }) {
        const found = (await places()).suggest(q.slice(0, told.longest));
        return Promise.all(found.slice(0, told.most).map(dressed));
      },
      async find({ q }) {
        const asked = q.slice(0, told.longest);
        const [{ features }, ready] = await Promise.all([grids(), places()]);
        const answer = ready.find(asked);
        const codes = new Set(answer.places.flatMap((place) => place.grids));
        if (answer.places.length !== 1) listed(asked).forEach((code) => codes.add(code));
        const found = features.filter((feature) => codes.has(feature.id)).map(board);
        const one = answer.places.length === 1 ? answer.places[0] : null;
        const several = answer.places.length > 1 && found.length > 1 && answer.places.length <= told.most;
        let said = sentence(one ? one.label : "", found, several);
        if (one && !answer.known) said = fill(words.no_number, { said });
        return {
          said, grids: several ? [] : found,
          choices: several ? await Promise.all(answer.places.map(dressed)) : [],
          lon: one ? one.lon : null, lat: one ? one.lat : null, ask: found.length ? null : told.call,
        };
      },
    };
  }

  window.gridgisAnswers = { desk, locator, finder, fold, toWgs84: (datum, at) => TO_WGS84[datum](at) };
})();
