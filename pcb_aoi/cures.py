"""What ops and annotators do about a failure, by its code: `status` shows it beside the cause."""

from __future__ import annotations

# code -> Chinese, English. Codes without a cure of their own point at the log.
CURES = {
    "bad_config": ("./deploy.sh check 会指出哪一行有误", "./deploy.sh check names the line"),
    "bad_image": ("重新上传这一帧，或设 PCB_AOI_BAD_FRAME=skip", "upload the frame again, or PCB_AOI_BAD_FRAME=skip"),
    "bad_request": ("不是 CVAT 的调用；原因指出了字段", "not a call of CVAT's; the cause names the field"),
    "busy": ("一次只运行一个自动标注", "run one annotation at a time"),
    "deadline": ("板图太大：裁剪，或用 GPU", "the board is too large: crop it, or use a GPU"),
    "disconnected": ("CVAT 先断开了；看它的日志", "CVAT closed the connection; see its log"),
    "hung": ("运行 ./deploy.sh up", "run ./deploy.sh up"),
    "missing_weights": ("放入权重后运行 ./deploy.sh up", "put the weights there and run ./deploy.sh up"),
    "model_error": ("./deploy.sh check 会指出原因", "./deploy.sh check names the cause"),
    "no_model": ("./deploy.sh check 会指出原因", "./deploy.sh check names the cause"),
    "out_of_memory": ("裁剪板图，或换更大的显存", "crop the board, or use a card with more memory"),
    "slow_body": ("检查 CVAT 到本机的网络", "look at the network from CVAT to this machine"),
    "timeout": ("板图太大，或函数卡住；函数会自动替换", "too large a board, or it hangs; it is replaced by itself"),
    "too_large": ("裁剪，或提高 PCB_AOI_MAX_*", "crop it, or raise PCB_AOI_MAX_*"),
    "unsupported_image": ("换成 PNG、JPEG、TIFF 或 BMP", "use PNG, JPEG, TIFF or BMP"),
    "warning": ("结果可能不完整，请看这一帧", "the answer may be incomplete: look at the frame"),
}
_SEE_LOG = ("看日志", "see the log")


def cure(code: str) -> tuple[str, str]:
    """Return the cure in Chinese and English."""
    return CURES.get(code, _SEE_LOG)
