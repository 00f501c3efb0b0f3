"""SRResCycGAN: deep cyclic generative adversarial residual convolutional networks (Umer and Micheloni, 2020)."""
