"""The model file that a user brings: read, or refused with the command that mends it."""

from __future__ import annotations

from pathlib import Path

from pcb_aoi.config.settings import Settings
from pcb_aoi.engine import runtime
from pcb_aoi.engine.signature import Signature
from pcb_aoi.errors import ConfigError, ModelError

_OTHERS = {
    ".engine": "TensorRT",
    ".trt": "TensorRT",
    ".xml": "OpenVINO",
    ".bin": "OpenVINO",
    ".tflite": "TensorFlow Lite",
    ".pb": "TensorFlow",
    ".h5": "Keras",
    ".safetensors": "safetensors",
    ".mlpackage": "Core ML",
    ".torchscript": "TorchScript",
    ".pdmodel": "PaddlePaddle",
    ".param": "NCNN",
}


def read(path: Path) -> tuple[bytes, Signature]:
    """Return the file's content and what it says of itself.

    Raises:
        ConfigError: the file is not there, or no ONNX file; says how to get one.
        ModelError: it is an ONNX file, but incomplete, damaged or made for another runtime.
    """
    if not path.is_file():
        raise ConfigError(f"没有这个文件 / no such file: {path}")
    data = path.read_bytes()
    _refuse_other_formats(path, data)
    try:
        return data, runtime.signature(runtime.create(data, Settings()))
    except ModelError as error:
        raise _explained(path, data, error) from None


def _refuse_other_formats(path: Path, data: bytes) -> None:
    if data.startswith(b"PK\x03\x04") or path.suffix.lower() in (".pt", ".pth"):
        raise ConfigError(
            f"{path.name} 是 PyTorch 的检查点，不是 ONNX。请导出：yolo export model={path.name} format=onnx imgsz=640"
            f"（imgsz 用训练时的值） / {path.name} is a PyTorch checkpoint, not ONNX. Export it: "
            f"yolo export model={path.name} format=onnx imgsz=640 (the imgsz of training)"
        )
    if data.startswith(b"version https://git-lfs"):
        raise ConfigError(
            f"{path.name} 是 Git LFS 指针，不是文件本身。请运行：git lfs pull / "
            f"{path.name} is a Git LFS pointer, not the file itself. Run: git lfs pull"
        )
    if data.lstrip()[:1] == b"<":
        raise ConfigError(
            f"{path.name} 是网页，不是 ONNX：下载时可能没有登录，请重新下载 / "
            f"{path.name} is a web page, not ONNX: download it again, signed in where that is needed"
        )
    if kind := _OTHERS.get(path.suffix.lower()):
        raise ConfigError(
            f"{path.name} 是 {kind} 文件，这里只读 ONNX。请从训练得到的权重导出 format=onnx / "
            f"{path.name} is a {kind} file; only ONNX is read. Export the trained weights with format=onnx"
        )


def _explained(path: Path, data: bytes, error: ModelError) -> ModelError:
    """Return the error with its cure, as far as ONNX Runtime's words tell the cause."""
    said = error.detail.lower()
    if "external" in said or (path.with_name(path.name + ".data").is_file() and "protobuf" not in said):
        name = f"{path.stem}-single.onnx"
        code = f"import onnx; onnx.save(onnx.load('{path.name}'), '{name}')"
        return ModelError(
            f"{path.name} 的权重在另一个文件里（通常是 {path.name}.data）。请把两个文件放在一起并合成一个："
            f'python -c "{code}"；或导出时用 torch.onnx.export(..., external_data=False) / '
            f"the weights of {path.name} lie in another file, mostly {path.name}.data. Put both into one folder and "
            f'make one of them: python -c "{code}"; or export with torch.onnx.export(..., external_data=False)',
            detail=error.detail,
        )
    if "protobuf" in said:
        return ModelError(
            f"{path.name}（{len(data)} 字节）不完整或已损坏。请重新拷贝，并在两边用 sha256sum 核对 / "
            f"{path.name} ({len(data)} bytes) is cut off or damaged. Copy it again, and compare sha256sum "
            "on both sides",
            detail=error.detail,
        )
    if "trt" in said or "not a registered function/op" in said or "no opset import" in said:
        return ModelError(
            f"{path.name} 含有 ONNX Runtime 没有的算子（例如 TensorRT 的 EfficientNMS_TRT）。请不带插件导出，如 "
            f"yolo export format=onnx / {path.name} has operators that ONNX Runtime lacks, such as TensorRT's "
            "EfficientNMS_TRT. Export it without plugins, for example: yolo export format=onnx",
            detail=error.detail,
        )
    if "unsupported model ir version" in said or "opset" in said:
        return ModelError(
            f"{path.name} 的 ONNX 版本比这里的 ONNX Runtime 新。请用较低版本导出，如 opset=17 / "
            f"{path.name} is of a newer ONNX than this ONNX Runtime reads. Export it with opset=17",
            detail=error.detail,
        )
    return error
