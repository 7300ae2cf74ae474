// The camera: frames go to the server one at a time, the next when the last is answered.

export class Camera {
  #stream = null;
  #canvas = document.createElement("canvas");

  constructor(video) {
    this.video = video;
  }

  get on() {
    return this.#stream !== null;
  }

  async start() {
    if (!navigator.mediaDevices) throw new Error("The browser gives cameras to pages of https or of this machine only.");
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } }, audio: false });
    } catch (error) {
      const reason = { NotAllowedError: "The camera was not allowed.", NotFoundError: "There is no camera.", NotReadableError: "Another program is using the camera." };
      throw new Error(reason[error.name] ?? `The camera cannot be used: ${error.message}`);
    }
    this.video.srcObject = this.#stream;
    await this.video.play();
  }

  stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = null;
    this.video.srcObject = null;
  }

  async frame() {
    const { videoWidth: width, videoHeight: height } = this.video;
    Object.assign(this.#canvas, { width, height });
    this.#canvas.getContext("2d").drawImage(this.video, 0, 0);
    const blob = await new Promise((done) => this.#canvas.toBlob(done, "image/jpeg", 0.9));
    return blob ? new File([blob], "camera.jpg", { type: "image/jpeg" }) : null;
  }
}
