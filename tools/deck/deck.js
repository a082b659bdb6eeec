// Keys, scale, theme, notes; draws the figures. No library but Plotly and MathJax, both in this file.
(() => {
  const slides = [...document.querySelectorAll(".slide")], stage = document.getElementById("stage");
  const root = document.documentElement, help = document.getElementById("help");
  const phone = matchMedia("(max-width: 700px)");
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let at = 0, speaker = null;

  // --- figures ---
  const colours = () => {
    const dark = root.dataset.theme === "dark";
    return {ink: dark ? "#e8ebee" : "#1f2933", grid: dark ? "rgba(255,255,255,.16)" : "rgba(0,0,0,.12)"};
  };
  const dress = layout => {
    const {ink, grid} = colours();
    layout.font = {...layout.font, size: phone.matches ? 12 : 16, color: ink};
    for (const key of Object.keys(layout).filter(k => /^[xy]axis\d*$/.test(k)))
      Object.assign(layout[key], {gridcolor: grid, zerolinecolor: grid});
    if (!phone.matches && layout.sliders && layout.margin.b > 170)  // one line of legend is enough here
      layout.margin = {...layout.margin, b: 170};
    for (const menu of layout.updatemenus || [])  // the pressed button is light in every theme
      Object.assign(menu, {bgcolor: "#d5dbe1", font: {color: "#1f2933"}});
    if (still) for (const slider of layout.sliders || [])
      for (const step of slider.steps) if (step.args?.[1]?.transition) step.args[1].transition.duration = 0;
    return layout;
  };
  const draw = box => {
    const figure = JSON.parse(box.querySelector("script").textContent);
    const layout = dress({...figure.layout, autosize: true, dragmode: false,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(128,128,128,.08)"});
    return Plotly.newPlot(box, {data: figure.data, frames: figure.frames, layout,
      config: {displayModeBar: false, responsive: true}});
  };
  const plots = [...document.querySelectorAll(".plot")];
  const repaint = () => plots.filter(box => box.layout).forEach(box => {
    Plotly.relayout(box, dress(JSON.parse(JSON.stringify(box.layout))));
  });

  // --- one slide at a time, scaled; words shrink until they fit ---
  const scale = () => {
    const k = Math.min(innerWidth / 1280, innerHeight / 720);
    stage.style.transform = `scale(${k}) translate(-50%, -50%)`;
  };
  const fit = slide => {
    const body = slide.querySelector(".body"), table = body.querySelector("table");
    const high = () => body.scrollHeight > body.clientHeight + 1;
    const wide = () => body.scrollWidth > body.clientWidth + 1;
    if (phone.matches || slide.matches(".figure, .picture")) return;
    for (const block of body.querySelectorAll(".block"))  // a long equation, not the words around it
      for (let k = 1.2; k > .6 && block.scrollWidth > block.clientWidth + 1; k -= .05)
        block.style.fontSize = `${k}em`;
    const base = parseFloat(getComputedStyle(body).fontSize);
    const columns = slide.matches(".long");
    for (let k = 1; k > .5 && (high() || (columns && wide())); k -= .04) body.style.fontSize = `${base * k}px`;
    for (let k = .8; table && k > .5 && wide(); k -= .04) table.style.fontSize = `${k}em`;
  };
  const tell = () => {
    if (!speaker || speaker.closed) return;
    const next = slides[at + 1], parts = next ? [...next.querySelector("header").children] : [];
    const head = next ? parts.map(part => part.textContent).join(": ") : "the end";
    speaker.document.body.innerHTML = `<p>${at + 1} of ${slides.length}; next: <b></b></p>`
      + slides[at].querySelector(".notes").innerHTML;
    speaker.document.querySelector("b").textContent = head;
  };
  const show = to => {
    slides[at].classList.remove("now");
    at = Math.max(0, Math.min(slides.length - 1, to));
    slides[at].classList.add("now");
    document.getElementById("place").textContent = `${at + 1} of ${slides.length}`;
    history.replaceState(null, "", `#${at + 1}`);
    if (!phone.matches) slides[at].focus({preventScroll: true});
    tell();
  };

  // --- keys ---
  const press = (key, on) => {
    const button = document.querySelector(`nav [data-key="${key}"]`);
    button.setAttribute("aria-pressed", on);
  };
  const theme = name => { root.dataset.theme = name; press("d", name === "dark"); repaint(); };
  const does = {
    ArrowRight: () => show(at + 1), " ": () => show(at + 1), PageDown: () => show(at + 1),
    ArrowLeft: () => show(at - 1), PageUp: () => show(at - 1),
    Home: () => show(0), End: () => show(slides.length - 1),
    d: () => theme(root.dataset.theme === "dark" ? "light" : "dark"),
    n: () => { press("n", document.body.classList.toggle("notes-on")); dispatchEvent(new Event("resize")); },
    f: () => document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen(),
    p: () => print(),
    s: () => {
      speaker = open("", "speaker", "width=700,height=800");
      if (speaker) speaker.document.body.style.cssText = "font: 18px/1.5 sans-serif; margin: 2rem";
      tell();
    },
    "?": () => help.open ? help.close() : help.showModal(),
  };
  addEventListener("keydown", event => {
    const tag = event.target.tagName;
    if (event.ctrlKey || event.metaKey || event.altKey || (tag === "BUTTON" && event.key === " ")) return;
    if (help.open && event.key !== "?") return;
    if (does[event.key]) { event.preventDefault(); does[event.key](); }
  });
  document.querySelectorAll("nav button").forEach(button =>
    button.addEventListener("click", () => does[button.dataset.key]()));
  addEventListener("resize", scale);
  addEventListener("hashchange", () => show((parseInt(location.hash.slice(1)) || 1) - 1));

  // --- paper is light ---
  let before = "light";
  addEventListener("beforeprint", () => { before = root.dataset.theme; theme("light"); });
  addEventListener("afterprint", () => theme(before));

  theme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  scale();
  show((parseInt(location.hash.slice(1)) || 1) - 1);
  const ready = MathJax.startup.promise.then(() => MathJax.typesetPromise()).then(() => {
    slides.forEach(fit);
    return Promise.all(plots.map(draw));
  }).then(() => { root.dataset.ready = "yes"; });
})();
