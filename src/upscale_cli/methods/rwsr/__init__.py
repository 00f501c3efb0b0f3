"""RWSR: Ren et al., Real-World Super-Resolution using Generative Adversarial Networks, CVPR Workshops 2020."""
