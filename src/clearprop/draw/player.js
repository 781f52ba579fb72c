/* The player of a recorded training run. Written without the characters that XML reserves. */
(() => {
  const page = document.querySelector("body.player");
  const data = JSON.parse(document.getElementById("frames").textContent);
  const [button, slider, output] = ["button", "input", "output"].map((name) => page.querySelector(`.controls ${name}`));
  const panels = [...page.querySelectorAll("figure .scroll > svg")].map((svg) => [svg, ...svg.querySelectorAll("*")]);
  const last = data.names.length - 1;

  /* a track is one attribute (or the text) of one element in every frame; null is the value of the frame before */
  const tracks = data.tracks.map(([panel, index, attribute, values]) => {
    let value = null;
    const all = values.map((next) => (value = next === null ? value : next));
    return { element: panels[panel][index], attribute, all };
  });
  const show = (frame) => {
    tracks.forEach(({ element, attribute, all }) => {
      if (attribute === "") element.textContent = all[frame];
      else element.setAttribute(attribute, all[frame]);
    });
    slider.value = frame;
    slider.setAttribute("aria-valuetext", data.names[frame]);
    output.textContent = data.names[frame];
  };

  let timer = null;
  const at = () => Number(slider.value);
  const pause = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  };
  const play = () => {
    if (at() === last) show(0);
    button.textContent = "Pause";
    timer = setInterval(() => {
      show(at() + 1);
      if (at() === last) pause();
    }, data.milliseconds);
  };
  const toggle = () => (timer === null ? play() : pause());
  const go = (frame) => {
    pause();
    show(Math.max(0, Math.min(last, frame)));
  };
  button.addEventListener("click", toggle);
  slider.addEventListener("input", () => go(at()));
  const keys = { " ": toggle, ArrowLeft: () => go(at() - 1), ArrowRight: () => go(at() + 1), Home: () => go(0), End: () => go(last) };
  document.addEventListener("keydown", (event) => {
    const own = event.target === button ? event.key === " " : false;
    if (own || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
  slider.max = last;
  page.querySelector(".controls").hidden = false;
  show(last);
})();
