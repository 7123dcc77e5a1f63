"""Names in diffusion models: Stable Diffusion's UNet, VAE and ControlNet as diffusers and CompVis call them; data.

Sources: diffusers 0.3x, CompVis latent-diffusion.
"""

from __future__ import annotations

NAMES = {
    "query": "to_q attn.q add_q_proj",
    "key": "to_k attn.k add_k_proj",
    "value": "to_v attn.v add_v_proj",
    "output": "to_out attn.proj_out to_add_out",
    "qkv": "to_qkv",
    "linear": "ff.net.proj ff.net time_embed time_embedding.linear time_emb_proj emb_layers proj_in proj_out "
    "time_embedding.linear add_embedding.linear label_emb",
    "convolution": "conv_in conv_out conv_shortcut nin_shortcut skip_connection in_layers out_layers input_blocks "
    "quant_conv post_quant_conv downsamplers.conv upsamplers.conv downsample.conv upsample.conv block.conv "
    "input_hint_block zero_convs middle_block_out controlnet_down_blocks controlnet_mid_block "
    "controlnet_cond_embedding "
    "cond_embedding.conv_in cond_embedding.blocks controlnet_cond_embedding.blocks op proj_in proj_out "
    "out",
    "group_norm": "resnets.norm attentions.norm attentions.group_norm conv_norm_out norm_out block.norm attn.norm "
    "in_layers out_layers mid_block.norm mid.block.norm mid.attn.norm input_blocks.norm middle_block.norm "
    "output_blocks.norm diffusion_model.out out",
    "layer_norm": "transformer_blocks.norm",
}
