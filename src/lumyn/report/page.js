(() => {
  const folds = () => document.querySelectorAll("details:not([open])");
  let unfolded = [];
  addEventListener("beforeprint", () => {
    unfolded = Array.from(folds());
    for (const fold of unfolded) fold.open = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of unfolded) fold.open = false;
  });
  const form = document.getElementById("filters");
  if (!form) return;
  const rows = Array.from(document.querySelectorAll("#vectors tbody tr"));
  const count = document.getElementById("count");
  let texts = null;
  let waiting = 0;
  const apply = () => {
    waiting = 0;
    const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const outcome = form.elements.outcome.value;
    const verdict = form.elements.verdict.value;
    texts = texts || rows.map((row) => row.textContent.toLowerCase());
    let shown = 0;
    rows.forEach((row, place) => {
      const fits = (!outcome || row.dataset.outcome === outcome)
        && (!verdict || row.dataset.verdict === verdict)
        && words.every((word) => texts[place].includes(word));
      if (row.hidden === fits) row.hidden = !fits;
      shown += fits ? 1 : 0;
    });
    count.textContent = `${shown} of ${rows.length} vectors`;
  };
  const reveal = () => {
    const row = document.getElementById(location.hash.slice(1));
    if (!row || !row.hidden) return;
    form.reset();
    apply();
    row.scrollIntoView();
  };
  form.hidden = false;
  form.addEventListener("input", () => { waiting = waiting || requestAnimationFrame(apply); });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", reveal);
  if (form.elements.words.value || form.elements.outcome.value || form.elements.verdict.value) apply();
})();
