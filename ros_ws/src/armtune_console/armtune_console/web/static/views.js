// The cameras' live pictures as figures; what stands below each is the page's to say.
"use strict";
import {el, get, onPicture, onState} from "/static/console.js";

export async function views(place, caption) {
  const {cameras} = await get("/api/session");
  const shown = Object.fromEntries(cameras.map(name => {
    const image = el("img", {alt: `camera ${name}, live`}), below = el("figcaption");
    place.append(el("figure", {id: `view-${name}`}, image, below));
    return [name, {image, below, frames: 0}];
  }));
  onPicture(cameras, (name, blob) => {
    const view = shown[name], before = view.image.src;
    view.image.src = URL.createObjectURL(blob);
    if (before) URL.revokeObjectURL(before);
    view.image.dataset.frames = ++view.frames;
  });
  onState(said => { for (const name in shown) shown[name].below.textContent = caption(name, said); });
}
