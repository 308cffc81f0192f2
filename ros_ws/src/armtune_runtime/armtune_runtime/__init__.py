"""Nodes that think: policy, reward, episode, recorder, learner."""
