// SPDX-License-Identifier: Apache-2.0
// Draws points with WebGL 2: one buffer each for places, colours, sizes and the order of drawing.
"use strict";

const VERTEX_SHADER = `#version 300 es
in vec2 position;
in vec3 colour;
in float size;
uniform vec2 centre;
uniform vec2 factor;
uniform float ratio;
out vec3 shade;
void main() {
  gl_Position = vec4((position - centre) * factor, 0.0, 1.0);
  gl_PointSize = size * ratio;
  shade = colour;
}`;

const FRAGMENT_SHADER = `#version 300 es
precision mediump float;
in vec3 shade;
uniform float alpha;
uniform float rim;
out vec4 pixel;
void main() {
  float radius = length(gl_PointCoord * 2.0 - 1.0);
  float edge = fwidth(radius);
  float inside = 1.0 - smoothstep(1.0 - 1.5 * edge, 1.0, radius);
  float dark = rim * smoothstep(0.62, 0.62 + edge, radius);
  float opacity = inside * alpha;
  pixel = vec4(mix(shade, vec3(0.07, 0.09, 0.15), dark) * opacity, opacity);
}`;

class Points {
  // Throws an Error where the browser has no WebGL 2.
  constructor(canvas, positions) {
    this.canvas = canvas;
    this.gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
    if (!this.gl) throw new Error("no WebGL 2");
    this.positions = positions;
    this.passes = [];
    this.start();
  }

  // Also after the graphics driver was restarted: then everything on it is lost.
  start() {
    const { gl } = this;
    const program = gl.createProgram();
    for (const [kind, source] of [
      [gl.VERTEX_SHADER, VERTEX_SHADER],
      [gl.FRAGMENT_SHADER, FRAGMENT_SHADER],
    ]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    this.uniforms = {};
    for (const name of ["centre", "factor", "ratio", "alpha", "rim"]) {
      this.uniforms[name] = gl.getUniformLocation(program, name);
    }
    this.buffers = {};
    this.attribute(program, "position", 2, gl.FLOAT, false, 0);
    this.attribute(program, "colour", 3, gl.UNSIGNED_BYTE, true, 4);
    this.attribute(program, "size", 1, gl.FLOAT, false, 0);
    this.order = gl.createBuffer();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.order);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.fill("position", this.positions);
  }

  attribute(program, name, length, kind, normalised, stride) {
    const { gl } = this;
    const place = gl.getAttribLocation(program, name);
    this.buffers[name] = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, length, kind, normalised, stride, 0);
  }

  fill(name, values) {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
  }

  // passes: [{rows, alpha, rim}], the last on top.
  arrange(passes) {
    const all = new Uint32Array(passes.reduce((sum, pass) => sum + pass.rows.length, 0));
    let from = 0;
    this.passes = passes.map(({ rows, alpha, rim }) => {
      all.set(rows, from);
      from += rows.length;
      return { from: from - rows.length, count: rows.length, alpha, rim };
    });
    this.gl.bufferData(this.gl.ELEMENT_ARRAY_BUFFER, all, this.gl.DYNAMIC_DRAW);
  }

  // view: {x, y} is the middle of the canvas, `scale` the pixels of one unit.
  draw(view, width, height, ratio) {
    const { gl, uniforms } = this;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(uniforms.centre, view.x, view.y);
    gl.uniform2f(uniforms.factor, (2 * view.scale) / width, (2 * view.scale) / height);
    gl.uniform1f(uniforms.ratio, ratio);
    for (const { from, count, alpha, rim } of this.passes) {
      if (!count) continue;
      gl.uniform1f(uniforms.alpha, alpha);
      gl.uniform1f(uniforms.rim, rim);
      gl.drawElements(gl.POINTS, count, gl.UNSIGNED_INT, 4 * from);
    }
  }
}
