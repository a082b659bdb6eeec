// Plotly figures take the page's ink and grid colours, and change with the theme.
(() => {
  const paint = () => {
    if (typeof Plotly === "undefined") return;
    const dark = document.documentElement.dataset.theme === "dark";
    const ink = dark ? "#e6e6e6" : "#2a3f5f";
    const grid = dark ? "rgba(255,255,255,.15)" : "rgba(0,0,0,.12)";
    const paper = dark ? "#1e2227" : "#ffffff";
    for (const gd of document.querySelectorAll(".js-plotly-plot")) {
      const layout = gd._fullLayout || {};
      const change = {"font.color": ink, "hoverlabel.bgcolor": paper, "hoverlabel.font.color": ink};
      for (const key of Object.keys(layout))
        if (/^[xy]axis\d*$/.test(key)) {
          change[key + ".gridcolor"] = grid;
          change[key + ".zerolinecolor"] = grid;
        }
      (layout.updatemenus || []).forEach((_, i) => {
        // Plotly paints the pressed button nearly white in every theme: dark words on light, always.
        change[`updatemenus[${i}].bgcolor`] = "#d5dbe1";
        change[`updatemenus[${i}].font.color`] = "#2a3f5f";
      });
      Plotly.relayout(gd, change);
    }
  };
  window.addEventListener("load", paint);
  new MutationObserver(paint).observe(document.documentElement,
    {attributes: true, attributeFilter: ["data-theme"]});
})();

// ipywidgets' html-manager still calls MathJax 2's queue; hand it to MathJax 3.
if (window.MathJax && !MathJax.Hub)
  MathJax.Hub = {Queue: ([, , el]) => MathJax.typesetPromise && MathJax.typesetPromise([el])};
