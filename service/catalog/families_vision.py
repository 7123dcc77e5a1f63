"""Names in vision models: ViT, CLIP, Swin, DINO, timm's ResNets and ConvNeXt, YOLO; data.

Sources: timm 1.0, torchvision 0.2x, open_clip, Ultralytics 8 and transformers 5.
"""

from __future__ import annotations

NAMES = {
    "output": "attn.proj attention.output.dense attn.out_proj attention.o_proj",
    "qkv": "attn.qkv attn.qkv_proj",
    "linear": "text_projection visual_projection mlp.fc head.fc pwconv downsample.reduction",
    "embedding": "patch_position_embedding position_embedding token_embedding",
    "convolution": "patch_embed.proj patch_embeddings.projection patch_embedding conv downsample shortcut.convolution "
    "downsample.conv convolution dwconv conv_dw conv_pw conv_pwl conv_stem conv_reduce conv_expand conv_head "
    "embedder.convolution stem.conv cv m.conv dfl.conv",
    "layer_norm": "stem downsample downsample_layers norm_pre ln_pre ln_post pre_layrnorm post_layernorm "
    "layernorm_before layernorm_after downsampling_layer",
}
"""`downsample` and `stem` hold a LayerNorm only where they hold no moving statistics (ConvNeXt)."""
