// What networks predict: pictures that fit the page, and on request in their own size; texts as they are.
function picture(sheet) {
  const image = h('img', { class: 'picture', src: sheet.png, alt: sheet.text, width: sheet.width, height: sheet.height });
  const box = sideways(image, `Picture of ${sheet.dataset}`);
  const said = () => (image.classList.contains('whole') ? 'fit the page' : 'full size');
  const button = h('button', { type: 'button', class: 'more zoom', onclick: () => zoom(0, 0) }, said());

  // x, y: what is looked at, as shares of the picture; it is brought to the middle of the frame.
  function zoom(x, y) {
    const whole = image.classList.toggle('whole');
    button.textContent = said();
    if (whole) {
      const frame = image.parentElement;
      frame.scrollLeft = x * image.offsetWidth - frame.clientWidth / 2;
      if (y) scrollBy({ top: image.getBoundingClientRect().top + y * image.offsetHeight - innerHeight / 2, behavior: 'instant' });
    } else if (button.getBoundingClientRect().top < 0) button.scrollIntoView({ block: 'center' });
    box.told();
  }
  // A picture that is not made smaller has nothing to show.
  const look = () => {
    const small = image.classList.contains('whole') || image.offsetWidth < sheet.width - 2;
    button.hidden = !small;
    image.classList.toggle('zooms', small);
  };
  if (typeof ResizeObserver === 'function') new ResizeObserver(look).observe(image);
  image.addEventListener('click', (event) => {
    if (button.hidden) return;
    const { left, top, width, height } = image.getBoundingClientRect();
    zoom((event.clientX - left) / width, (event.clientY - top) / height);
  });
  return [button, box];
}

// How networks go on after a prompt. A text is text: no character of it is markup.
function texts(sheet) {
  const prompt = sheet.prompt ? [h('p', {}, 'Prompt:'), h('pre', { class: 'sample' }, sheet.prompt)] : [];
  const how = sheet.how ? [h('p', {}, `Drawn with ${sheet.how}.`)] : [];
  return [...how, ...prompt, ...sheet.texts.map((each) => h('div', {}, h('h4', {}, each.label), h('pre', { class: 'sample' }, each.text)))];
}

function framesSection() {
  const { sheets, remarks: said } = DATA.frames;
  if (!sheets.length && !said.length) return;
  section('frames', 'Predictions', 'On test, one seed an entry: matrices of classes count the whole split; clips, forecasts and points are evenly spread over it and chosen by nobody. Pixels of clips are drawn as they are. Where a picture is made smaller, a click shows it in full size.',
    sheets.map((sheet) => h('div', {}, h('h3', {}, sheet.dataset), remarks(sheet.terms), sheet.texts ? texts(sheet) : picture(sheet))), remarks(said));
}
