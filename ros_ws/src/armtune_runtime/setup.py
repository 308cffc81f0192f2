from setuptools import find_packages, setup

NAME = "armtune_runtime"

setup(
    name=NAME,
    version="0.1.0",
    description="Nodes that think: policy, reward, episode, recorder, learner",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    install_requires=["numpy", "opencv-python-headless", "psutil"],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    entry_points={
        "console_scripts": [
            "policy_node = armtune_runtime.policy_node:main",
            "reward_node = armtune_runtime.reward_node:main",
            "episode_node = armtune_runtime.episode_node:main",
            "recorder_node = armtune_runtime.recorder_node:main",
            "learner_node = armtune_runtime.learner_node:main",
            "transfer_node = armtune_runtime.transfer_node:main",
        ],
    },
)
